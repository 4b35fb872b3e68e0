"""Parts, voxels, materials, the process and the result: the nouns of the simulator."""
