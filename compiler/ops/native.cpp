// Aggregation over a G x G window on one core: loops over heads, compiled for the processor they run on.
// shifts.py says what each of the three functions computes.
//
// Rows of inputs, outputs and maps all lie `pitch` apart, as wide as a padded row of the input. So what tap u reads for
// output l is number l + offset[u] of a channel, for all l in one run; outputs past a row's end are computed and cut off.
// Of such a run, a vector of outputs of several channels stays in registers while all taps pass.

struct Sizes {
    long taps;      // G * G
    long channels;  // of a head
    long out;       // numbers in a channel of the output, and in the plane of a tap
    long in;        // numbers in a channel of the input
    long heads;     // of an image
    long maps_step; // heads from one image's maps to the next; 0 where all images share theirs
};

namespace {

// Vectors of V numbers at any address.
template <class T, int V> struct Lane {
    typedef T type __attribute__((vector_size(V * sizeof(T)), aligned(sizeof(T)), may_alias));
};

struct Forward {
    static const int channels = 8;
    // y[c] = sum over taps of map[tap] * x[c] at that tap's offset.
    template <class T, int V, int C>
    static void tile(T *x, T *map, T *y, long l, const long *offset, const Sizes &s) {
        typedef typename Lane<T, V>::type vec;
        vec sum[C] = {};
        for (long u = 0; u < s.taps; u++) {
            const vec weight = *(vec *)(map + u * s.out + l);
            T *from = x + offset[u] + l;
            for (int c = 0; c < C; c++) sum[c] += weight * *(vec *)(from + c * s.in);
        }
        for (int c = 0; c < C; c++) *(vec *)(y + c * s.out + l) = sum[c];
    }
};

struct MapGradient {
    static const int channels = 8;
    // map[tap] += sum over channels of grad[c] * x[c] at that tap's offset.
    template <class T, int V, int C>
    static void tile(T *x, T *map, T *grad, long l, const long *offset, const Sizes &s) {
        typedef typename Lane<T, V>::type vec;
        vec weight[C];
        for (int c = 0; c < C; c++) weight[c] = *(vec *)(grad + c * s.out + l);
        for (long u = 0; u < s.taps; u++) {
            vec *into = (vec *)(map + u * s.out + l), sum = *into;
            T *from = x + offset[u] + l;
            for (int c = 0; c < C; c++) sum += weight[c] * *(vec *)(from + c * s.in);
            *into = sum;
        }
    }
};

struct InputGradient {
    static const int channels = 4;
    // x[c] at each tap's offset += map[tap] * grad[c]. Neighbouring taps write to overlapping vectors, which stalls if
    // one follows at once upon the other: a tile is `LONG` vectors long.
    static const int LONG = 16;
    template <class T, int V, int C> static void add(T *x, T *map, T *grad, const Sizes &s) {
        typedef typename Lane<T, V>::type vec;
        const vec weight = *(vec *)map;
        for (int c = 0; c < C; c++) *(vec *)(x + c * s.in) += weight * *(vec *)(grad + c * s.out);
    }
};

// All outputs of C channels: whole vectors first, the rest in smaller ones.
template <class Op, class T, int C> struct Sweep {
    static void run(T *x, T *map, T *y, const long *offset, const Sizes &s) {
        const int V = 64 / sizeof(T);
        long l = 0;
        for (; l + V <= s.out; l += V) Op::template tile<T, V, C>(x, map, y, l, offset, s);
        for (; l + 4 <= s.out; l += 4) Op::template tile<T, 4, C>(x, map, y, l, offset, s);
        for (; l < s.out; l++) Op::template tile<T, 1, C>(x, map, y, l, offset, s);
    }
};

template <class T, int C> struct Sweep<InputGradient, T, C> {
    static void run(T *x, T *map, T *grad, const long *offset, const Sizes &s) {
        const int V = 64 / sizeof(T);
        for (long first = 0; first < s.out; first += InputGradient::LONG * V) {
            const long last = first + InputGradient::LONG * V < s.out ? first + InputGradient::LONG * V : s.out;
            for (long u = 0; u < s.taps; u++) {
                T *into = x + offset[u], *weight = map + u * s.out;
                long l = first;
                for (; l + V <= last; l += V) InputGradient::add<T, V, C>(into + l, weight + l, grad + l, s);
                for (; l < last; l++) InputGradient::add<T, 1, C>(into + l, weight + l, grad + l, s);
            }
        }
    }
};

// Heads first ... last - 1 of those of all images, their channels in groups that fit the registers.
template <class Op, class T>
void heads(T *x, T *maps, T *y, long first, long last, const long *offset, const Sizes &s) {
    for (long i = first; i < last; i++) {
        T *map = maps + (i / s.heads * s.maps_step + i % s.heads) * s.taps * s.out;
        const long end = (i + 1) * s.channels;
        long c = i * s.channels;
        for (; c + Op::channels <= end; c += Op::channels)
            Sweep<Op, T, Op::channels>::run(x + c * s.in, map, y + c * s.out, offset, s);
        for (; c + 2 <= end; c += 2) Sweep<Op, T, 2>::run(x + c * s.in, map, y + c * s.out, offset, s);
        for (; c < end; c++) Sweep<Op, T, 1>::run(x + c * s.in, map, y + c * s.out, offset, s);
    }
}

}  // namespace

#define EXPORT(NAME, OP, T)                                                                                \
    extern "C" void NAME(T *x, T *maps, T *y, long first, long last, const long *offset, const Sizes *s) { \
        heads<OP, T>(x, maps, y, first, last, offset, *s);                                                 \
    }

EXPORT(forward_float, Forward, float)
EXPORT(forward_double, Forward, double)
EXPORT(map_gradient_float, MapGradient, float)
EXPORT(map_gradient_double, MapGradient, double)
EXPORT(input_gradient_float, InputGradient, float)
EXPORT(input_gradient_double, InputGradient, double)
