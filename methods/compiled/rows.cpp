// Passes over activations for batch normalisation: each reads and writes them once.
//
// Layouts, innermost last; the C channels of all tasks lie side by side in every pixel, and each has its own statistics:
//
//   x        (rows, C)            float   one row for each pixel of each image
//   windows  (B, H/2, W/2, C)             of x as (B, H, W, C): 2x2, an odd last row or column belongs to none
//   winner   like windows         byte    which pixel of a window was largest: 0 1 / 2 3
//   all others (C,)               float
//
// With `rectify` every x is read as relu(x). The inner loops run over channels, side by side in memory: compilers make
// vectors of them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lanes.h"

namespace {

constexpr int BLOCK = 64;  // rows summed in float before the sum goes into a double

// relu(NaN) is NaN.
template <bool RECTIFY>
inline float read(float x) {
    return RECTIFY && x < 0 ? 0 : x;
}

// Adds up two numbers a row and channel: term(row, c, &first, &second) gives them.
template <class Term>
void two_sums(int rows, int channels, double* first, double* second, Term term) {
    std::vector<float> a(channels), b(channels);
    std::fill(first, first + channels, 0.);
    std::fill(second, second + channels, 0.);
    for (int begin = 0; begin < rows; begin += BLOCK) {
        std::fill(a.begin(), a.end(), 0.f);
        std::fill(b.begin(), b.end(), 0.f);
        for (int row = begin; row < std::min(rows, begin + BLOCK); row++)
            term(size_t(row) * channels, a.data(), b.data());
        for (int c = 0; c < channels; c++) {
            first[c] += a[c];
            second[c] += b[c];
        }
    }
}

template <bool RECTIFY>
void moments(const float* x, float* mean, float* variance, int rows, int channels) {
    std::vector<double> sum(channels), squares(channels);
    // Relative to the first row, or the squares of numbers far from 0 would leave no digits for their variance.
    std::vector<float> origin(channels);
    for (int c = 0; c < channels; c++) origin[c] = read<RECTIFY>(x[c]);
    const float* from = origin.data();
    two_sums(rows, channels, sum.data(), squares.data(), [=](size_t at, float* __restrict a, float* __restrict b) {
        for (int c = 0; c < channels; c++) {
            const float distance = read<RECTIFY>(x[at + c]) - from[c];
            a[c] += distance;
            b[c] += distance * distance;
        }
    });
    for (int c = 0; c < channels; c++) {
        const double shift = sum[c] / rows;
        mean[c] = float(origin[c] + shift);
        variance[c] = float(std::max(0., squares[c] / rows - shift * shift));
    }
}

template <bool RECTIFY>
void affine(const float* __restrict x, const float* __restrict slope, const float* __restrict shift,
            float* __restrict out, int rows, int channels) {
    for (int row = 0; row < rows; row++, x += channels, out += channels)
        for (int c = 0; c < channels; c++) out[c] = read<RECTIFY>(x[c]) * slope[c] + shift[c];
}

template <bool RECTIFY>
void sums(const float* x, const float* grad, const float* mean, float* total, float* product, int rows, int channels) {
    std::vector<double> first(channels), second(channels);
    two_sums(rows, channels, first.data(), second.data(), [=](size_t at, float* __restrict a, float* __restrict b) {
        for (int c = 0; c < channels; c++) {
            a[c] += grad[at + c];
            b[c] += grad[at + c] * (read<RECTIFY>(x[at + c]) - mean[c]);
        }
    });
    for (int c = 0; c < channels; c++) {
        total[c] = float(first[c]);
        product[c] = float(second[c]);
    }
}

template <bool RECTIFY>
void gradient(const float* __restrict x, const float* __restrict grad, const float* __restrict by_grad,
              const float* __restrict by_x, const float* __restrict constant, float* __restrict out, int rows,
              int channels) {
    for (int row = 0; row < rows; row++, x += channels, grad += channels, out += channels)
        for (int c = 0; c < channels; c++) {
            const float found = by_grad[c] * grad[c] + by_x[c] * read<RECTIFY>(x[c]) + constant[c];
            out[c] = RECTIFY && !(x[c] > 0) ? 0 : found;
        }
}

template <int LANES>
inline void largest_of(const float* corner, size_t right, size_t below, float* largest, uint8_t* winner) {
    typedef typename Lanes<LANES>::floats floats;
    auto at = [=](size_t offset) { return *(const floats*)(corner + offset); };
    const Largest<LANES> best(at(0), at(right), at(below), at(below + right));
    *(floats*)largest = best.value;
    store_bytes<LANES>(best.which, winner);
}

}  // namespace

// Mean and biased variance of each channel.
extern "C" void rows_moments(const float* x, float* mean, float* variance, int rows, int channels, int rectify) {
    (rectify ? moments<true> : moments<false>)(x, mean, variance, rows, channels);
}

// out = slope * x + shift.
extern "C" void rows_affine(const float* x, const float* slope, const float* shift, float* out, int rows, int channels,
                            int rectify) {
    (rectify ? affine<true> : affine<false>)(x, slope, shift, out, rows, channels);
}

// total = sum of grad, product = sum of grad * (x - mean).
extern "C" void rows_sums(const float* x, const float* grad, const float* mean, float* total, float* product, int rows,
                          int channels, int rectify) {
    (rectify ? sums<true> : sums<false>)(x, grad, mean, total, product, rows, channels);
}

// out = by_grad * grad + by_x * x + constant; with `rectify` 0 where x is not above 0.
extern "C" void rows_gradient(const float* x, const float* grad, const float* by_grad, const float* by_x,
                              const float* constant, float* out, int rows, int channels, int rectify) {
    (rectify ? gradient<true> : gradient<false>)(x, grad, by_grad, by_x, constant, out, rows, channels);
}

// The largest of every window, and which it was.
extern "C" void windows_largest(const float* x, float* largest, uint8_t* winner, int images, int height, int width,
                                int channels) {
    const size_t line = size_t(width) * channels;
    for (int n = 0; n < images; n++, x += height * line)
        for (int y = 0; y < height / 2; y++)
            for (int i = 0; i < width / 2; i++, largest += channels, winner += channels) {
                const float* corner = x + 2 * y * line + 2 * i * size_t(channels);
                int c = 0;
                for (; c + WIDEST <= channels; c += WIDEST)
                    largest_of<WIDEST>(corner + c, channels, line, largest + c, winner + c);
                for (; c < channels; c++) largest_of<1>(corner + c, channels, line, largest + c, winner + c);
            }
}

// out = by_x * x + constant, and where a window's winner is, by_grad * its grad more.
extern "C" void windows_gradient(const float* x, const float* grad, const uint8_t* winner, const float* by_grad,
                                 const float* by_x, const float* constant, float* out, int images, int height,
                                 int width, int channels) {
    for (int n = 0; n < images; n++)
        for (int y = 0; y < height; y++)
            for (int i = 0; i < width; i++, x += channels, out += channels) {
                const float* __restrict from = x;
                float* __restrict to = out;
                if (y / 2 == height / 2 || i / 2 == width / 2) {
                    for (int c = 0; c < channels; c++) to[c] = by_x[c] * from[c] + constant[c];
                    continue;
                }
                const size_t window = ((size_t(n) * (height / 2) + y / 2) * (width / 2) + i / 2) * channels;
                const float* __restrict g = grad + window;
                const uint8_t* __restrict who = winner + window;
                const uint8_t own = (y % 2) * 2 + i % 2;
                for (int c = 0; c < channels; c++)
                    to[c] = by_x[c] * from[c] + constant[c] + (who[c] == own ? by_grad[c] * g[c] : 0);
            }
}
