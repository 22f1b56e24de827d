"""Statistics of metrics: feature sets, kernels, intervals."""
