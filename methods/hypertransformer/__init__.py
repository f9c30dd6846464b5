"""HyperTransformer: a transformer reads the support set and writes the weights of the network that solves the task."""
