"""Folders of Pathfinder's sets, as the release names them."""

CONTOUR_FOLDERS = {
    14: "curv_contour_length_14",
    9: "curv_contour_length_9",
    6: "curv_baseline",
    3: "curv_contour_length_3",
}
"""Folder for each number of dashes of a curve; the release has none with 3."""
