// Short vectors of floats, the widest that this processor has, and 2x2 max-pooling of them.
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
    typedef int16_t halves __attribute__((vector_size(2 * LANES)));
    typedef uint8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
};

#if defined(__AVX512F__)
constexpr int WIDEST = 16;
#elif defined(__AVX__)
constexpr int WIDEST = 8;
#else
constexpr int WIDEST = 4;
#endif

#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_4 _Pragma("GCC unroll 4")

// Keeps the lowest byte of each lane. In two steps, because compilers do a conversion to a quarter lane by lane.
template <int LANES>
inline void store_bytes(typename Lanes<LANES>::ints from, uint8_t* to) {
    typedef typename Lanes<LANES>::halves halves;
    typedef typename Lanes<LANES>::bytes bytes;
    const halves half = __builtin_convertvector(from, halves);
    *(bytes*)to = __builtin_convertvector(half, bytes);
}

// The largest of a window's pixels 0 1 / 2 3, lane by lane, and which it was. The first of the largest wins, and a NaN
// beats everything, as in PyTorch.
template <int LANES>
struct Largest {
    typedef typename Lanes<LANES>::floats floats;
    typedef typename Lanes<LANES>::ints ints;
    floats value;
    ints which;
    Largest(floats first, floats second, floats third, floats fourth) {
        const ints right = beats(second, first), right_below = beats(fourth, third);
        const floats upper = right ? second : first, lower = right_below ? fourth : third;
        const ints below = beats(lower, upper);
        value = below ? lower : upper;
        which = below ? 2 - right_below : -right;  // a true lane is -1
    }
    static ints beats(floats one, floats other) { return (one > other) | (one != one); }
};
