"""Parts, voxels, materials, the process and the result."""
