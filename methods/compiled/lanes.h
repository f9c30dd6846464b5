// Short vectors of floats, and the widest that this processor has.
//
// `vector_size` is understood by GCC and Clang: arithmetic on such a type works on all its lanes at once, a comparison
// gives a mask of ints, and `mask ? a : b` chooses lane by lane. `aligned(4)` allows them anywhere in an array of floats.
#pragma once
#include <cstdint>
#include <cstring>

template <int LANES>
struct Lanes {
    typedef float floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
    typedef int32_t ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
    typedef uint8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
};

#if defined(__AVX512F__)
constexpr int WIDEST = 16;
#elif defined(__AVX__)
constexpr int WIDEST = 8;
#else
constexpr int WIDEST = 4;
#endif
