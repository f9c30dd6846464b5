// relu(max_pool2(conv3x3(image, kernel of its task) + bias)) in one pass, and its gradients.
//
// Layouts, innermost last. T tasks lie side by side in every pixel, as in `methods.networks.conv4`:
//
//   images   (B, H, W, T, CI)       float   B images per task, CI channels in
//   kernel   (T, CO, CI, 3, 3)      float   CO channels out; images are padded with one zero on each side
//   bias     (T, CO)                float   or null
//   out      (B, H/2, W/2, T, CO)   float   an odd last row or column belongs to no window
//   winner   (B, H/2, W/2, T, CO)   byte    which pixel of a 2x2 window was largest: 0 1 / 2 3, or NOBODY below zero
//
// Everything is done plane by plane: one image of one task, CI channels, first copied into a padded scratch plane
// (H+2, W+2, CI) that stays in the nearest cache. Each plane's result depends on that plane and its kernel alone, so
// neither the number of images nor that of tasks changes a bit of it.
//
// Why this is fast: convolved images are never written to memory, only the quarter of them that survives pooling is;
// and only the winners have a gradient, so that the backward pass needs an eighth or so of the usual arithmetic.

#include <algorithm>
#include <type_traits>
#include <vector>

#include "lanes.h"

namespace {

template <int VALUE>
using Number = std::integral_constant<int, VALUE>;

constexpr int TAPS = 9;  // of a 3x3 kernel, row by row
constexpr uint8_t NOBODY = 4;

struct Shape {
    int images, height, width, tasks, inputs, outputs;
    int rows() const { return height / 2; }
    int columns() const { return width / 2; }
    int padded_width() const { return width + 2; }
    size_t plane() const { return size_t(height + 2) * padded_width() * inputs; }
    size_t windows() const { return size_t(rows()) * columns(); }
    size_t kernel() const { return size_t(TAPS) * inputs * outputs; }
    // Where a pixel of image n and task t begins, and how far it is to the next pixel.
    size_t image_begin(int n, int t) const { return (size_t(n) * height * width * tasks + t) * inputs; }
    size_t image_step() const { return size_t(tasks) * inputs; }
    size_t out_begin(int n, int t) const { return (size_t(n) * windows() * tasks + t) * outputs; }
    size_t out_step() const { return size_t(tasks) * outputs; }
    int tap(int q) const { return ((q / 3) * padded_width() + q % 3) * inputs; }            // offset in the plane
    int pixel(int p) const { return ((p / 2) * padded_width() + p % 2) * inputs; }          // of a window, likewise
    int window(int y, int x) const { return (2 * y * padded_width() + 2 * x) * inputs; }    // its first tap, likewise
};

// Calls work(n, t) for every plane. Neighbouring tasks share cache lines where a pixel is narrow: then they follow each
// other; otherwise a task keeps its kernel in the cache for all its images.
template <class Work>
void each_plane(const Shape& s, Work work) {
    if (s.inputs < 16) {
        for (int n = 0; n < s.images; n++)
            for (int t = 0; t < s.tasks; t++) work(n, t);
    } else {
        for (int t = 0; t < s.tasks; t++)
            for (int n = 0; n < s.images; n++) work(n, t);
    }
}

// Copies one image of one task into the inside of a padded plane, or back (the border is left alone).
void into_plane(const Shape& s, const float* image, float* plane) {
    const size_t step = s.image_step();
    for (int y = 0; y < s.height; y++) {
        float* to = plane + (size_t(y + 1) * s.padded_width() + 1) * s.inputs;
        if (s.inputs == 1)
            for (int x = 0; x < s.width; x++, image += step) to[x] = *image;
        else
            for (int x = 0; x < s.width; x++, image += step, to += s.inputs)
                memcpy(to, image, sizeof(float) * s.inputs);
    }
}

void out_of_plane(const Shape& s, const float* plane, float* image) {
    const size_t step = s.image_step();
    for (int y = 0; y < s.height; y++) {
        const float* from = plane + (size_t(y + 1) * s.padded_width() + 1) * s.inputs;
        for (int x = 0; x < s.width; x++, image += step, from += s.inputs)
            memcpy(image, from, sizeof(float) * s.inputs);
    }
}

// ---- Forward: vectors over output channels ------------------------------------------------------------------------

// The kernels of all tasks as (T, CO / LANES, 3, CI, 3, LANES): in the order in which `convolve` reads them.
template <int LANES>
std::vector<float> by_output(const Shape& s, const float* kernel) {
    std::vector<float> found(s.tasks * s.kernel());
    float* next = found.data();
    for (int t = 0; t < s.tasks; t++, kernel += s.kernel())
        for (int o = 0; o < s.outputs; o += LANES)
            for (int dy = 0; dy < 3; dy++)
                for (int i = 0; i < s.inputs; i++)
                    for (int dx = 0; dx < 3; dx++)
                        for (int lane = 0; lane < LANES; lane++)
                            *next++ = kernel[(size_t(o + lane) * s.inputs + i) * TAPS + dy * 3 + dx];
    return found;
}

// Convolves, pools and rectifies COUNT neighbouring windows of a row for VECTORS * LANES output channels.
//
// COUNT * VECTORS * 4 sums are in flight: eight hide the latency of multiply-add, and leave room in 16 registers for
// the weights of a row of taps. Each pixel is fetched once and meets them all, since fetching would be what takes time.
// Every sum is made in the same order (dy, i, dx), whatever COUNT is.
template <int LANES, int VECTORS, int COUNT, int INPUTS>
inline void convolve(const float* corner, int inputs, int next_row, const float* weights, const float* bias,
                     size_t out_step, float* out, uint8_t* winner) {
    typedef typename Lanes<LANES>::floats floats;
    typedef typename Lanes<LANES>::ints ints;
    if (INPUTS) inputs = INPUTS;
    const size_t next_vector = size_t(TAPS) * inputs * LANES;
    floats sum[2][2 * COUNT][VECTORS];
    UNROLL for (int y = 0; y < 2; y++)
        UNROLL for (int x = 0; x < 2 * COUNT; x++)
            UNROLL for (int v = 0; v < VECTORS; v++)
                sum[y][x][v] = bias ? *(const floats*)(bias + v * LANES) : floats{};
    for (int dy = 0; dy < 3; dy++, corner += next_row)
        UNROLL_4 for (int i = 0; i < inputs; i++, weights += 3 * LANES) {
            floats tap[3][VECTORS];
            UNROLL for (int dx = 0; dx < 3; dx++)
                UNROLL for (int v = 0; v < VECTORS; v++)
                    tap[dx][v] = *(const floats*)(weights + dx * LANES + v * next_vector);
            UNROLL for (int y = 0; y < 2; y++)
                UNROLL for (int column = 0; column < 2 * COUNT + 2; column++) {
                    const float pixel = corner[y * next_row + column * inputs + i];
                    UNROLL for (int dx = 0; dx < 3; dx++)
                        if (column >= dx && column - dx < 2 * COUNT)
                            UNROLL for (int v = 0; v < VECTORS; v++) sum[y][column - dx][v] += tap[dx][v] * pixel;
                }
        }
    UNROLL for (int c = 0; c < COUNT; c++)
        UNROLL for (int v = 0; v < VECTORS; v++) {
            const Largest<LANES> best(sum[0][2 * c][v], sum[0][2 * c + 1][v], sum[1][2 * c][v], sum[1][2 * c + 1][v]);
            const ints nobody = best.value <= 0;
            const size_t at = c * out_step + v * LANES;
            *(floats*)(out + at) = nobody ? floats{} : best.value;
            if (winner) store_bytes<LANES>(nobody ? ints{} + NOBODY : best.which, winner + at);
        }
}

template <int LANES, int VECTORS, int INPUTS>
void forward(const Shape& s, const float* images, const float* kernel, const float* bias, float* out, uint8_t* winner) {
    constexpr int TOGETHER = VECTORS == 1 ? 2 : 1;
    const int next_row = s.padded_width() * s.inputs;
    const size_t out_step = s.out_step();
    const std::vector<float> weights = by_output<LANES>(s, kernel);
    std::vector<float> plane(s.plane(), 0.f);
    each_plane(s, [&](int n, int t) {
        into_plane(s, images + s.image_begin(n, t), plane.data());
        for (int o = 0; o < s.outputs; o += LANES * VECTORS) {
            const float* w = weights.data() + t * s.kernel() + size_t(o) * TAPS * s.inputs;
            const float* b = bias ? bias + size_t(t) * s.outputs + o : nullptr;
            size_t at = s.out_begin(n, t) + o;
            auto windows = [&](auto count, int y, int x) {
                convolve<LANES, VECTORS, count(), INPUTS>(plane.data() + s.window(y, x), s.inputs, next_row, w, b,
                                                          out_step, out + at, winner ? winner + at : nullptr);
                at += count() * out_step;
            };
            for (int y = 0; y < s.rows(); y++) {
                int x = 0;
                for (; x + TOGETHER <= s.columns(); x += TOGETHER) windows(Number<TOGETHER>(), y, x);
                if (x < s.columns()) windows(Number<1>(), y, x);
            }
        }
    });
}

template <int LANES, int VECTORS>
void forward(const Shape& s, const float* images, const float* kernel, const float* bias, float* out, uint8_t* winner) {
    // A known number of inputs lets the compiler unroll: a fifth faster where there are few.
    if (s.inputs == 1) return forward<LANES, VECTORS, 1>(s, images, kernel, bias, out, winner);
    if (s.inputs == 8) return forward<LANES, VECTORS, 8>(s, images, kernel, bias, out, winner);
    forward<LANES, VECTORS, 0>(s, images, kernel, bias, out, winner);
}

// ---- Backward where inputs fill vectors: only winners, vectors over input channels ----------------------------------

// The winners of one plane, listed by output channel.
struct Winners {
    std::vector<float> gradient;   // (CO, windows)
    std::vector<int> place;        // (CO, windows): offset of the winner's first tap in the plane
    std::vector<int> count;        // (CO,)

    explicit Winners(const Shape& s)
        : gradient(s.outputs * s.windows()), place(s.outputs * s.windows()), count(s.outputs) {}

    void list(const Shape& s, const float* grad, const uint8_t* winner) {
        const int pixel[5] = {s.pixel(0), s.pixel(1), s.pixel(2), s.pixel(3), 0};
        const size_t windows = s.windows();
        std::fill(count.begin(), count.end(), 0);
        for (int y = 0; y < s.rows(); y++)
            for (int x = 0; x < s.columns(); x++, grad += s.out_step(), winner += s.out_step()) {
                const int corner = s.window(y, x);
                for (int o = 0; o < s.outputs; o++) {  // no branch: an entry for nobody is overwritten by the next
                    const size_t at = o * windows + count[o];
                    gradient[at] = grad[o];
                    place[at] = corner + pixel[winner[o]];
                    count[o] += winner[o] != NOBODY;
                }
            }
    }
};

template <int LANES>
void backward_of_winners(const Shape& s, const float* images, const float* kernel, const float* grad,
                         const uint8_t* winner, float* grad_images, float* grad_kernel, float* grad_bias) {
    typedef typename Lanes<LANES>::floats floats;
    // Kernels and their gradients as (T, CO, CI / LANES, 9, LANES).
    const int blocks = s.inputs / LANES;
    std::vector<float> weights(s.tasks * s.kernel()), total(s.tasks * s.kernel(), 0.f);
    auto each_weight = [&](auto use) {
        size_t at = 0;
        for (size_t to = 0; to < size_t(s.tasks) * s.outputs; to++)
            for (int i = 0; i < s.inputs; i += LANES)
                for (int q = 0; q < TAPS; q++)
                    for (int lane = 0; lane < LANES; lane++) use(at++, (to * s.inputs + i + lane) * TAPS + q);
    };
    each_weight([&](size_t here, size_t there) { weights[here] = kernel[there]; });
    std::vector<float> plane(s.plane(), 0.f), grad_plane(s.plane());
    Winners winners(s);
    int tap[TAPS];
    for (int q = 0; q < TAPS; q++) tap[q] = s.tap(q);
    each_plane(s, [&](int n, int t) {
        into_plane(s, images + s.image_begin(n, t), plane.data());
        winners.list(s, grad + s.out_begin(n, t), winner + s.out_begin(n, t));
        if (grad_images) std::fill(grad_plane.begin(), grad_plane.end(), 0.f);
        for (int o = 0; o < s.outputs; o++) {
            const float* g = winners.gradient.data() + o * s.windows();
            const int* place = winners.place.data() + o * s.windows();
            const int count = winners.count[o];
            for (int b = 0; b < blocks; b++) {
                const size_t at = ((size_t(t) * s.outputs + o) * blocks + b) * TAPS * LANES;
                // Two loops, since nine weights and nine sums do not fit into 16 registers together.
                floats sum[TAPS] = {};
                for (int j = 0; j < count; j++) {
                    const float* from = plane.data() + place[j] + b * LANES;
#pragma GCC unroll 9
                    for (int q = 0; q < TAPS; q++) sum[q] += *(const floats*)(from + tap[q]) * g[j];
                }
                for (int q = 0; q < TAPS; q++) *(floats*)(total.data() + at + q * LANES) += sum[q];
                if (!grad_images) continue;
                floats weight[TAPS];
                for (int q = 0; q < TAPS; q++) weight[q] = *(const floats*)(weights.data() + at + q * LANES);
                for (int j = 0; j < count; j++) {
                    float* to = grad_plane.data() + place[j] + b * LANES;
#pragma GCC unroll 9
                    for (int q = 0; q < TAPS; q++) *(floats*)(to + tap[q]) += weight[q] * g[j];
                }
            }
            if (grad_bias) {
                float sum = 0;
                for (int j = 0; j < count; j++) sum += g[j];
                grad_bias[size_t(t) * s.outputs + o] += sum;
            }
        }
        if (grad_images) out_of_plane(s, grad_plane.data(), grad_images + s.image_begin(n, t));
    });
    each_weight([&](size_t here, size_t there) { grad_kernel[there] = total[here]; });
}

// ---- Backward for images of one or three colours: kernel and bias only, vectors over output channels ----------------

template <int LANES>
void backward_of_colours(const Shape& s, const float* images, const float* grad, const uint8_t* winner,
                         float* grad_kernel, float* grad_bias) {
    typedef typename Lanes<LANES>::floats floats;
    typedef typename Lanes<LANES>::ints ints;
    typedef typename Lanes<LANES>::bytes bytes;
    const int row = s.padded_width() * s.inputs;
    std::vector<float> plane(s.plane(), 0.f);
    each_plane(s, [&](int n, int t) {
        into_plane(s, images + s.image_begin(n, t), plane.data());
        for (int o = 0; o < s.outputs; o += LANES)
            for (int i = 0; i < s.inputs; i++) {
                floats sum[TAPS] = {}, bias = {};
                size_t at = s.out_begin(n, t) + o;
                for (int y = 0; y < s.rows(); y++)
                    for (int x = 0; x < s.columns(); x++, at += s.out_step()) {
                        const floats g = *(const floats*)(grad + at);
                        const ints who = __builtin_convertvector(*(const bytes*)(winner + at), ints);
                        const float* corner = plane.data() + s.window(y, x) + i;
#pragma GCC unroll 4
                        for (int p = 0; p < 4; p++) {
                            const floats own = who == p ? g : floats{};
                            const float* from = corner + (p / 2) * row + (p % 2) * s.inputs;
                            bias += own;
#pragma GCC unroll 9
                            for (int q = 0; q < TAPS; q++) sum[q] += own * from[(q / 3) * row + (q % 3) * s.inputs];
                        }
                    }
                for (int lane = 0; lane < LANES; lane++) {
                    const size_t channel = size_t(t) * s.outputs + o + lane;
                    for (int q = 0; q < TAPS; q++) grad_kernel[(channel * s.inputs + i) * TAPS + q] += sum[q][lane];
                    if (grad_bias && i == 0) grad_bias[channel] += bias[lane];
                }
            }
    });
}

}  // namespace

// `outputs` is a multiple of 4. `bias` may be null, and `winner` where no gradient will be wanted.
extern "C" void block_forward(const float* images, const float* kernel, const float* bias, float* out, uint8_t* winner,
                              int count, int height, int width, int tasks, int inputs, int outputs) {
    const Shape s{count, height, width, tasks, inputs, outputs};
    if (outputs % (2 * WIDEST) == 0) return forward<WIDEST, 2>(s, images, kernel, bias, out, winner);
    if (outputs % WIDEST == 0) return forward<WIDEST, 1>(s, images, kernel, bias, out, winner);
    if (outputs % 8 == 0) return forward<8, 1>(s, images, kernel, bias, out, winner);
    forward<4, 1>(s, images, kernel, bias, out, winner);
}

// `grad_kernel` and `grad_bias` (which may be null) start as zeros. `grad_images` may be null, and must be where
// `inputs` is not a multiple of 4.
extern "C" void block_backward(const float* images, const float* kernel, const float* grad, const uint8_t* winner,
                               float* grad_images, float* grad_kernel, float* grad_bias, int count, int height,
                               int width, int tasks, int inputs, int outputs) {
    const Shape s{count, height, width, tasks, inputs, outputs};
    auto winners = [&](auto lanes) {
        backward_of_winners<lanes()>(s, images, kernel, grad, winner, grad_images, grad_kernel, grad_bias);
    };
    auto colours = [&](auto lanes) {
        backward_of_colours<lanes()>(s, images, grad, winner, grad_kernel, grad_bias);
    };
    if (inputs % WIDEST == 0) winners(Number<WIDEST>());
    else if (inputs % 8 == 0) winners(Number<8>());
    else if (inputs % 4 == 0) winners(Number<4>());
    else if (outputs % 8 == 0) colours(Number<8>());
    else colours(Number<4>());
}
