"""Some steps of `methods.networks` in C++, for a CPU in float32: the same numbers up to rounding, in less time.

What takes the time of these small networks on a CPU is moving activations through memory. PyTorch writes and reads them
once for every operation; here a convolution, its pooling and its ReLU are one pass. Nothing depends on this room: where
there is no C++ compiler, for other devices and types, and for gradients of gradients, PyTorch's operations do the work.

    library.py        compiles the C++ once per machine, and loads it; says which path is taken
    block.py          convolution with a kernel per task, 2x2 max-pooling, ReLU (block.cpp)
    normalisation.py  ReLU and batch normalisation; batch normalisation and 2x2 max-pooling (rows.cpp)
    lanes.h           short vectors

`python -m methods.compiled` compiles, and says what came of it. The environment variable HTBENCH_KERNEL chooses the
path: "torch", "compiled" (an error where it cannot be), or "auto", the default: compiled wherever it can be.
"""
