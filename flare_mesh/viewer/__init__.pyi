from .serve import view as view
