from .case_errors import plot_case_errors as plot_case_errors
from .coverage import plot_coverage as plot_coverage
from .error_by_distance import plot_error_by_distance as plot_error_by_distance
from .error_histogram import plot_error_histogram as plot_error_histogram
from .learning_curves import plot_learning_curves as plot_learning_curves
from .parity import plot_parity as plot_parity
from .spectra import plot_spectra as plot_spectra
