// Aggregation over a G x G window on one core, forward and backward: heads of a batch, compiled for the processor they
// run on. aggregate.py says what is computed, decomposed.py what a map is mixed from.
//
// A head of an image is laid out in planes that fit the caches of a core. The rows of inputs, outputs and maps all lie
// `pitch` apart, with the same zeros as the end of one row and the start of the next. So what tap u reads for output l
// is number l + at[u] of a channel, for all l in one run; outputs between the rows are computed and left there. Of such
// a run, a tile of a few vectors stays in registers while all taps pass.

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace {

#if defined(__AVX512F__)
const int BYTES = 64;
#elif defined(__AVX__)
const int BYTES = 32;
#else
const int BYTES = 16;
#endif

// Numbers in a vector, and vectors at any address.
template <class T> const int V = BYTES / sizeof(T);
template <class T> struct Lanes {
    typedef T vec __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
};
template <class T> using vec = typename Lanes<T>::vec;
template <class T> vec<T> &lanes(T *from, int vector) { return *(vec<T> *)(from + vector * V<T>); }
template <class T> const vec<T> &lanes(const T *from, int vector) { return *(const vec<T> *)(from + vector * V<T>); }
template <int N> using count = std::integral_constant<int, N>;
const int TILE = 4;  // vectors

long up(long size, long of) { return (size + of - 1) / of * of; }

// A tensor (N, C, H, W) by its strides; that of images is 0 where they all share one. No data: not wanted.
template <class T> struct View {
    T *data;
    long image, channel, row, column;
};

// What a call is about. `source` holds maps (N, heads * taps, Ho, Wo) where `base` is 0, and coefficients
// (N, groups * base, Ho, Wo) of a bank (heads, taps, base) and a position (heads, taps) where it is not.
template <class T> struct Call {
    long kernel, stride, height, width, channels, heads, base, groups;
    View<T> x, source, y, dx, dsource;  // in backward y is the gradient of the output
    T *bank, *position, *dbank, *dposition;
};

// How a map lies in a plane: pixel (i, j) is number p * pitch + q of phase (a, b) of the stride, where
// i + low = stride * p + a and j + low = stride * q + b.
struct Sheet {
    long height, width, low, stride, phases, rows, pitch, area, before, plane;

    long first(long phase) const { return std::max(0L, (low - phase + stride - 1) / stride); }
    long end(long phase, long size, long most) const {
        return std::min(most, (size + low - phase + stride - 1) / stride);
    }

    // f(phase, from, to): the numbers between the first and the last that are pixels
    template <class F> void each_phase(F f) const {
        for (long a = 0; a < phases; a++)
            for (long b = 0; b < phases; b++)
                f(a * phases + b, first(a) * pitch + first(b),
                  (end(a, height, rows) - 1) * pitch + end(b, width, pitch));
    }
    // f(in plane, in tensor, pixels): every run of neighbours
    template <class F> void each_run(long row, long column, F f) const {
        for (long a = 0; a < phases; a++)
            for (long b = 0; b < phases; b++)
                for (long p = first(a); p < end(a, height, rows); p++)
                    f((a * phases + b) * area + p * pitch + first(b),
                      (stride * p + a - low) * row + (stride * first(b) + b - low) * column,
                      end(b, width, pitch) - first(b));
    }
};

#if defined(__clang__)
#define SHUFFLE(A, B, ...) __builtin_shufflevector(A, B, __VA_ARGS__)
#else
#define SHUFFLE(A, B, ...) __builtin_shuffle(A, B, mask{__VA_ARGS__})
#endif

// Four rows of four numbers to four columns.
template <bool add, class T> void transpose(const T *from, long from_row, T *to, long to_row) {
    typedef T quad __attribute__((vector_size(4 * sizeof(T)), aligned(sizeof(T)), may_alias));
    typedef std::conditional_t<sizeof(T) == 4, int32_t, int64_t> index;
    typedef index mask __attribute__((vector_size(4 * sizeof(T))));
    quad row[4];
    for (int r = 0; r < 4; r++) row[r] = *(quad *)(from + r * from_row);
    const quad a = SHUFFLE(row[0], row[2], 0, 4, 1, 5), b = SHUFFLE(row[1], row[3], 0, 4, 1, 5);
    const quad c = SHUFFLE(row[0], row[2], 2, 6, 3, 7), d = SHUFFLE(row[1], row[3], 2, 6, 3, 7);
    const quad column[4] = {SHUFFLE(a, b, 0, 4, 1, 5), SHUFFLE(a, b, 2, 6, 3, 7), SHUFFLE(c, d, 0, 4, 1, 5),
                            SHUFFLE(c, d, 2, 6, 3, 7)};
    for (int r = 0; r < 4; r++) {
        quad *into = (quad *)(to + r * to_row);
        *into = add ? *into + column[r] : column[r];
    }
}

// From one channel to the next, and from one pixel to the next.
struct Steps {
    long channel, pixel;
};

// Copy or add pixels of some channels from where they lie with steps `a` to where they lie with steps `b`.
template <bool add, class T> void move(const T *from, Steps a, T *to, Steps b, long channels, long pixels) {
    const bool straight = a.pixel == 1 && b.pixel == 1;
    const bool turned = !straight && ((a.channel == 1 && b.pixel == 1) || (a.pixel == 1 && b.channel == 1));
    const long whole = turned && pixels >= 4 ? channels / 4 * 4 : 0;
    const long done = add ? pixels / 4 * 4 : pixels;  // the last four may be copied twice, not added
    for (long c = 0; c < whole; c += 4)
        for (long k = 0; k < done; k += 4) {
            const long first = std::min(k, pixels - 4);
            transpose<add>(from + c * a.channel + first * a.pixel, a.channel == 1 ? a.pixel : a.channel,
                           to + c * b.channel + first * b.pixel, b.channel == 1 ? b.pixel : b.channel);
        }
    for (long c = 0; c < channels; c++) {
        const T *source = from + c * a.channel;
        T *into = to + c * b.channel;
        if (straight)
            for (long k = 0; k < pixels; k++) into[k] = add ? into[k] + source[k] : source[k];
        else
            for (long k = c < whole ? done : 0; k < pixels; k++)
                into[k * b.pixel] = add ? into[k * b.pixel] + source[k * a.pixel] : source[k * a.pixel];
    }
}

// Planes of a sheet, zeros at first, in cache lines of their own; an odd number of them each, which spreads them over
// the sets of a cache.
template <class T> struct Planes {
    const Sheet &sheet;
    std::vector<T> numbers;
    T *at;

    Planes(const Sheet &sheet, long planes) : sheet(sheet), numbers(planes * sheet.plane + BYTES) {
        at = (T *)up((uintptr_t)numbers.data(), BYTES) + sheet.before;
    }
    T *operator[](long i) { return at + i * sheet.plane; }
    void clear() { std::fill(numbers.begin(), numbers.end(), T(0)); }

    void read(const View<T> &from, long image, long channel, long channels) {
        const T *start = from.data + image * from.image + channel * from.channel;
        sheet.each_run(from.row, from.column, [&](long place, long pixel, long pixels) {
            const Steps steps = {from.channel, from.column * sheet.stride};
            move<false>(start + pixel, steps, at + place, {sheet.plane, 1}, channels, pixels);
        });
    }
    template <bool add> void write(const View<T> &to, long image, long channel, long channels) {
        T *start = to.data + image * to.image + channel * to.channel;
        sheet.each_run(to.row, to.column, [&](long place, long pixel, long pixels) {
            const Steps steps = {to.channel, to.column * sheet.stride};
            move<add>(at + place, {sheet.plane, 1}, start + pixel, steps, channels, pixels);
        });
    }
};

// f(vectors, l): tiles that cover begin <= l < end, the last ones one vector wide.
template <class T, class F> void each_tile(long begin, long end, F f) {
    long l = begin;
    for (; l + TILE * V<T> <= end; l += TILE * V<T>) f(count<TILE>{}, l);
    for (; l < end; l += V<T>) f(count<1>{}, l);
}

// A loop over what lies in registers: unrolled, or it would lie in memory.
#define EACH(I, N) _Pragma("GCC unroll 16") for (int I = 0; I < N; I++)

// y[c][l] = sum over taps u of map[u][l] * x[c][l], where map[u] and x[c] begin at offsets of their own.
template <class T, int C, int W>
void aggregate(long taps, const T *x, long x_plane, const long *x_at, const T *map, const long *map_at, T *y,
               long y_plane) {
    vec<T> sum[C][W] = {};
    for (long u = 0; u < taps; u++) {
        const T *weight = map + map_at[u], *from = x + x_at[u];
        EACH(w, W)
            EACH(c, C)
                sum[c][w] += lanes(weight, w) * lanes(from + c * x_plane, w);
    }
    EACH(c, C)
        EACH(w, W) lanes(y + c * y_plane, w) = sum[c][w];
}

// map[u][l] += sum over channels of y[c][l] * x[c][l], where x[c] begins at an offset of tap u.
template <class T, int C, int W>
void correlate(long taps, const T *x, long x_plane, const long *x_at, T *map, long map_plane, const T *y,
               long y_plane) {
    vec<T> weight[C][W];
    EACH(c, C)
        EACH(w, W) weight[c][w] = lanes(y + c * y_plane, w);
    for (long u = 0; u < taps; u++) {
        const T *from = x + x_at[u];
        EACH(w, W) {
            vec<T> sum = lanes(map + u * map_plane, w);
            EACH(c, C) sum += weight[c][w] * lanes(from + c * x_plane, w);
            lanes(map + u * map_plane, w) = sum;
        }
    }
}

// R rows of W vectors: out[r] += sum over k of a[r][k] * b[k].
template <class T, int R, int W>
void product(long inner, const T *a, long a_row, long a_step, const T *b, long b_row, T *out, long out_row) {
    vec<T> sum[R][W];
    EACH(r, R)
        EACH(w, W) sum[r][w] = lanes(out + r * out_row, w);
    for (long k = 0; k < inner; k++) {
        vec<T> right[W];
        EACH(w, W) right[w] = lanes(b + k * b_row, w);
        EACH(r, R)
            EACH(w, W) sum[r][w] += a[r * a_row + k * a_step] * right[w];
    }
    EACH(r, R)
        EACH(w, W) lanes(out + r * out_row, w) = sum[r][w];
}

// The same for any number of rows: as many at once as the registers hold, then fewer.
template <class T, int W, int R = W == 1 ? 7 : 4>
void products(long rows, long inner, const T *a, long a_row, long a_step, const T *b, long b_row, T *out,
              long out_row) {
    long r = 0;
    for (; r + R <= rows; r += R)
        product<T, R, W>(inner, a + r * a_row, a_row, a_step, b, b_row, out + r * out_row, out_row);
    if constexpr (R > 1)
        products<T, W, R / 2>(rows - r, inner, a + r * a_row, a_row, a_step, b, b_row, out + r * out_row, out_row);
}

// f(channels, c): groups of channels that fit the registers.
template <class F> void each_group(long channels, F f) {
    long c = 0;
    for (; c + 4 <= channels; c += 4) f(count<4>{}, c);
    for (; c < channels; c++) f(count<1>{}, c);
}

// The sheets of a call, and where taps read in them.
template <class T> struct Plan {
    long taps, out_height, out_width, length;
    Sheet in, out, tile{};
    std::vector<long> at;  // of a tap, in a plane of the input

    explicit Plan(const Call<T> &call) {
        const long g = call.kernel, s = call.stride, low = g / 2, more = (g - 1) / s;
        taps = g * g;
        out_height = (call.height - 1) / s + 1, out_width = (call.width - 1) / s + 1;
        const long rows = out_height + more, columns = out_width + more;
        const long shared = std::max(0L, std::min(low / s, columns - (call.width + low + s - 1) / s));
        const long pitch = columns - shared, phases = std::min(g, s);
        length = (out_height - 1) * pitch + out_width;
        in = {call.height, call.width, low, s, phases, rows, pitch, rows * pitch + shared + V<T>, 0, 0};
        in.plane = odd(phases * phases * in.area);
        out = {out_height, out_width, 0, 1, 1, out_height, pitch, 0, up(more * (pitch + 1), V<T>), 0};
        out.plane = odd(out.before + rows * pitch + V<T>);
        tile.plane = TILE * V<T>;
        for (long dy = 0; dy < g; dy++)
            for (long dx = 0; dx < g; dx++)
                at.push_back((dy % s * phases + dx % s) * in.area + dy / s * pitch + dx / s);
    }
    std::vector<long> rows(const Sheet &sheet) const {
        std::vector<long> made;
        for (long u = 0; u < taps; u++) made.push_back(u * sheet.plane);
        return made;
    }
    static long odd(long size) { return up(size, V<T>) / V<T> % 2 ? up(size, V<T>) : up(size, V<T>) + V<T>; }
};

// The maps of heads, from what a call has as `source`.
template <class T> struct Maps {
    const Call<T> &call;
    const Plan<T> &plan;
    const long channels;  // of `source`, for a head
    Planes<T> given;

    Maps(const Call<T> &call, const Plan<T> &plan)
        : call(call), plan(plan), channels(call.base ? call.base : plan.taps), given(plan.out, channels) {}

    // The first of those channels of head i, and whether the head before it has others.
    long channel(long i) const { return i % call.heads % call.groups * channels; }
    bool fresh(long i) const { return i % call.heads == 0 || channel(i) != channel(i - 1); }

    void read(long i) { given.read(call.source, i / call.heads, channel(i), channels); }

    // map[u][l] = position[u] + sum over b of bank[u][b] * coefficient[b][l], for a tile
    template <int W> void mix(long head, long l, T *map, long plane) {
        for (long u = 0; u < plan.taps; u++) {
            const T start = call.position ? call.position[head * plan.taps + u] : T(0);
            EACH(w, W) lanes(map + u * plane, w) = vec<T>{} + start;
        }
        products<T, W>(plan.taps, call.base, call.bank + head * plan.taps * call.base, call.base, 1, given[0] + l,
                       plan.out.plane, map, plane);
    }
};

// Heads first ... last - 1 of those of all images, as in `backward`.
template <class T> void forward(const Call<T> &call, long first, long last) {
    const Plan<T> plan(call);
    Planes<T> x(plan.in, call.channels), y(plan.out, call.channels), tile(plan.tile, plan.taps);
    Maps<T> maps(call, plan);
    const std::vector<long> map_at = plan.rows(call.base ? plan.tile : plan.out);
    for (long i = first; i < last; i++) {
        const long image = i / call.heads, head = i % call.heads, channel = head * call.channels;
        if (i == first || maps.fresh(i)) maps.read(i);
        x.read(call.x, image, channel, call.channels);
        each_tile<T>(0, plan.length, [&](auto wide, long l) {
            if (call.base) maps.template mix<wide()>(head, l, tile[0], plan.tile.plane);
            const T *map = call.base ? tile[0] : maps.given[0] + l;
            each_group(call.channels, [&](auto group, long c) {
                aggregate<T, group(), wide()>(plan.taps, x[c] + l, plan.in.plane, plan.at.data(), map, map_at.data(),
                                              y[c] + l, plan.out.plane);
            });
        });
        y.template write<false>(call.y, image, channel, call.channels);
    }
}

// The gradients of coefficients, bank and position, from tiles of the map's.
template <class T> struct Factors {
    const Call<T> &call;
    const Plan<T> &plan;
    const long wide;                // of `columns` and `bank`: `base` in whole vectors
    Planes<T> coefficients;         // gradients
    std::vector<T> columns;         // (length, wide): the coefficients themselves
    std::vector<T> bank, position;  // (taps, wide), (taps, a vector): gradients of a head

    Factors(const Call<T> &call, const Plan<T> &plan)
        : call(call), plan(plan), wide(up(call.base, V<T>)), coefficients(plan.out, call.base),
          columns((plan.length + V<T>) * wide), bank(plan.taps * wide), position(plan.taps * V<T>) {}

    void read(Planes<T> &given) {
        move<false>(given[0], {plan.out.plane, 1}, columns.data(), {1, wide}, call.base, plan.length);
    }
    template <int W> void add(long head, long l, const T *map, long plane) {
        products<T, W>(call.base, plan.taps, call.bank + head * plan.taps * call.base, 1, call.base, map, plane,
                       coefficients[0] + l, plan.out.plane);
        each_tile<T>(0, wide, [&](auto step, long b) {
            products<T, step()>(plan.taps, W * V<T>, map, plane, 1, &columns[l * wide + b], wide, &bank[b], wide);
        });
        for (long u = 0; u < plan.taps; u++)
            EACH(w, W) lanes(&position[u * V<T>], 0) += lanes(map + u * plane, w);
    }
    // Add to the call's, and begin anew: after a head, and after the last head with the same coefficients.
    void finish_head(long head) {
        for (long u = 0; u < plan.taps; u++) {
            const long row = head * plan.taps + u;
            for (long b = 0; b < call.base; b++) call.dbank[row * call.base + b] += bank[u * wide + b];
            for (int k = 0; call.position && k < V<T>; k++) call.dposition[row] += position[u * V<T> + k];
        }
        std::fill(bank.begin(), bank.end(), T(0));
        std::fill(position.begin(), position.end(), T(0));
    }
    void finish_coefficients(long image, long channel) {
        coefficients.template write<true>(call.dsource, image, channel, call.base);
        coefficients.clear();
    }
};

// map[u][l] = sum over channels of y[c][l] * x[c][l + at[u]], for a tile
template <class T, int W>
void map_gradient(const Plan<T> &plan, Planes<T> &x, Planes<T> &y, long channels, long l, T *map, long plane) {
    for (long u = 0; u < plan.taps; u++)
        EACH(w, W) lanes(map + u * plane, w) = vec<T>{};
    each_group(channels, [&](auto group, long c) {
        correlate<T, group(), W>(plan.taps, x[c] + l, plan.in.plane, plan.at.data(), map, plane, y[c] + l,
                                 plan.out.plane);
    });
}

// x[c] of each phase: the sum over its taps of the products they were part of; map and y lie back by as much as the tap
// lies ahead.
template <class T> void input_gradient(const Plan<T> &plan, const T *map, Planes<T> &y, Planes<T> &x, long channels) {
    std::vector<long> map_at, y_at;
    plan.in.each_phase([&](long phase, long begin, long end) {
        map_at.clear(), y_at.clear();
        for (long u = 0; u < plan.taps; u++)
            if (plan.at[u] / plan.in.area == phase) {
                y_at.push_back(phase * plan.in.area - plan.at[u]);
                map_at.push_back(u * plan.out.plane + y_at.back());
            }
        each_tile<T>(begin, end, [&](auto wide, long l) {
            each_group(channels, [&](auto group, long c) {
                aggregate<T, group(), wide()>(y_at.size(), y[c] + l, plan.out.plane, y_at.data(), map + l,
                                              map_at.data(), x[c] + phase * plan.in.area + l, plan.in.plane);
            });
        });
    });
}

template <class T> void backward(const Call<T> &call, long first, long last) {
    const Plan<T> plan(call);
    const bool need_dx = call.dx.data, need_maps = call.dsource.data, mixed = call.base;
    Planes<T> x(plan.in, need_maps * call.channels), dx(plan.in, need_dx * call.channels), y(plan.out, call.channels);
    Planes<T> tile(plan.tile, plan.taps), whole(plan.out, (mixed ? need_dx : need_maps) * plan.taps);
    Maps<T> maps(call, plan);
    Factors<T> factors(call, plan);
    for (long i = first; i < last; i++) {
        const long image = i / call.heads, head = i % call.heads, channel = head * call.channels;
        const bool fresh = i == first || maps.fresh(i);
        if (fresh && (mixed || need_dx)) maps.read(i);
        y.read(call.y, image, channel, call.channels);
        if (need_maps) {
            x.read(call.x, image, channel, call.channels);
            if (fresh) factors.read(maps.given);
            each_tile<T>(0, plan.length, [&](auto wide, long l) {
                T *map = mixed ? tile[0] : whole[0] + l;
                const long plane = mixed ? plan.tile.plane : plan.out.plane;
                map_gradient<T, wide()>(plan, x, y, call.channels, l, map, plane);
                if (mixed) factors.template add<wide()>(head, l, map, plane);
            });
            if (mixed) factors.finish_head(head);
            if (mixed && (i + 1 == last || maps.fresh(i + 1))) factors.finish_coefficients(image, maps.channel(i));
            if (!mixed) whole.template write<true>(call.dsource, image, head * plan.taps, plan.taps);
        }
        if (need_dx) {
            if (mixed)
                each_tile<T>(0, plan.length, [&](auto wide, long l) {
                    maps.template mix<wide()>(head, l, whole[0] + l, plan.out.plane);
                });
            input_gradient(plan, mixed ? whole[0] : maps.given[0], y, dx, call.channels);
            dx.template write<false>(call.dx, image, channel, call.channels);
        }
    }
}

}  // namespace

#define EXPORT(NAME, OPERATION, T) \
    extern "C" void NAME(const Call<T> *call, long first, long last) { OPERATION(*call, first, last); }

EXPORT(aggregate_float, forward, float)
EXPORT(aggregate_double, forward, double)
EXPORT(aggregate_backward_float, backward, float)
EXPORT(aggregate_backward_double, backward, double)
