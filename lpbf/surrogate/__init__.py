"""CAD parts as a source of prediction: the one package of the simulator that knows networks."""
