"""Configuration of the documentation site; `make docs` builds it.

The root of the sources is the repository, so that a link between the pages, the notebooks and the
changelog is the same on the site as in the repository.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("PYVISTA_OFF_SCREEN", "true")
sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

from flare_mesh import __version__

project = "flare-mesh"
author = "the authors of flare-mesh"
copyright = "the authors of flare-mesh, MIT licence"
version = release = __version__

root_doc = "docs/index"
include_patterns = ["docs/**", "examples/*.ipynb", "CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [
    ".*",
    "build",
    "data",
    "dist",
    "docs/_*",
    "results",
    "runs",
    "shared",
]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx_copybutton",
    "docstrings",
    "mathml",
    "mermaid_diagrams",
]

# Pages
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
highlight_language = "text"  # of blocks without a language: commands
nb_execution_mode = "off"  # the outputs are in the notebooks, which a test runs
nb_merge_streams = True
html_math_renderer = "mathml"

# API
autoclass_content = "class"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Shapes", "notes_style"), ("Shape", "notes_style")]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

# Theme: nothing is loaded from another server.
html_theme = "pydata_sphinx_theme"
html_title = "flare-mesh"
html_static_path = ["_static"]
html_extra_path = ["_root"]  # index.html, which leads to the landing page
html_css_files = ["site.css"]
html_sidebars = {"docs/start": []}  # a page without others beside it
html_context = {"default_mode": "auto"}  # otherwise the theme logs an error
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "flare-mesh"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "back_to_top_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = "$ "
