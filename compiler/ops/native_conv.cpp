// Convolution with kernels as large as the map on one core, for maps and sequences of a few hundred pixels.
// direct_conv.py says what the two functions compute. Filters have their centre in the middle: 2 H - 1 rows of 2 W - 1.

struct ConvSizes {
    long images, channels, height, width;
    long row;    // numbers in a row of x, zeros behind the last column up to a multiple of UNROLL
    long taps;   // numbers in a row of the filters
    long padded; // numbers in a row of the gradient: zeros up to W - 1 columns in front of it, and behind
};

namespace {

const int UNROLL = 8;

template <class T> struct Vector {
    static const int lanes = 64 / sizeof(T);
    typedef T type __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
};

// A row of `lanes` outputs of N images, each in U sums that do not wait for one another: every pixel of the map times
// the run of taps that leads from it to those outputs.
template <class T, int N, int U>
void outputs(const T *x, const T *taps, T *y, long lanes, const ConvSizes &s) {
    typedef typename Vector<T>::type vec;
    const long image = s.channels * s.height * s.row, columns = (s.width + U - 1) / U * U;
    vec sum[N][U] = {};
    for (long r = 0; r < s.height; r++)
        for (long c = 0; c < columns; c += U)
            for (int u = 0; u < U; u++) {
                const vec weight = *(const vec *)(taps - r * s.taps - c - u);
                for (int n = 0; n < N; n++) sum[n][u] += x[n * image + r * s.row + c + u] * weight;
            }
    for (int n = 0; n < N; n++) {
        for (int u = 1; u < U; u++) sum[n][0] += sum[n][u];
        __builtin_memcpy(y + n * s.channels * s.height * s.width, &sum[n][0], lanes * sizeof(T));
    }
}

template <class T> void convolve(const T *x, const T *filters, T *y, long first, long last, const ConvSizes &s) {
    const long area = s.height * s.row, out = s.height * s.width, taps = (2 * s.height - 1) * s.taps;
    for (long c = first; c < last; c++)
        for (long i = 0; i < s.height; i++)
            for (long j = 0; j < s.width; j += Vector<T>::lanes) {
                const long left = s.width - j, lanes = left < Vector<T>::lanes ? left : Vector<T>::lanes;
                const T *tap = filters + c * taps + (i + s.height - 1) * s.taps + s.width - 1 + j;
                const T *from = x + c * area;
                T *to = y + c * out + i * s.width + j;
                long n = 0;
                for (; n + 8 <= s.images; n += 8)
                    outputs<T, 8, 1>(from + n * s.channels * area, tap, to + n * s.channels * out, lanes, s);
                for (; n + 2 <= s.images; n += 2)
                    outputs<T, 2, 4>(from + n * s.channels * area, tap, to + n * s.channels * out, lanes, s);
                for (; n < s.images; n++)
                    outputs<T, 1, 8>(from + n * s.channels * area, tap, to + n * s.channels * out, lanes, s);
            }
}

// dfilters[p, q] = sum over images and pixels (r, k) of x[r, k] * grad[r + p - (H - 1), k + q - (W - 1)].
template <class T>
void filter_gradient(const T *x, const T *grad, T *dfilters, long first, long last, const ConvSizes &s) {
    typedef typename Vector<T>::type vec;
    const int U = 4, V = Vector<T>::lanes;
    const long rows = 2 * s.height - 1;
    for (long c = first; c < last; c++)
        for (long p = 0; p < rows; p++)
            for (long q = 0; q < s.taps; q += 2 * V) {
                vec sum[U][2] = {};
                // Columns of x whose products with the gradient's zeros are left out.
                const long before = s.width - 2 * V - q, behind = 2 * s.width - 1 - q;
                const long low = before > 0 ? before / U * U : 0, high = behind < s.row ? behind : s.row;
                for (long n = 0; n < s.images; n++) {
                    const T *from = x + (n * s.channels + c) * s.height * s.row;
                    const T *with = grad + (n * s.channels + c) * s.height * s.padded + q;
                    for (long r = 0; r < s.height; r++) {
                        const long i = r + p - (s.height - 1);
                        if (i < 0 || i >= s.height) continue;
                        for (long k = low; k < high; k += U)
                            for (int u = 0; u < U; u++) {
                                const T *run = with + i * s.padded + k + u;
                                sum[u][0] += from[r * s.row + k + u] * *(const vec *)run;
                                sum[u][1] += from[r * s.row + k + u] * *(const vec *)(run + V);
                            }
                    }
                }
                T *to = dfilters + (c * rows + p) * s.taps + q;
                *(vec *)to = sum[0][0] + sum[1][0] + sum[2][0] + sum[3][0];
                *(vec *)(to + V) = sum[0][1] + sum[1][1] + sum[2][1] + sum[3][1];
            }
}

}  // namespace

#define EXPORT(NAME, FUNCTION, T)                                                                                    \
    extern "C" void NAME(const T *x, const T *other, T *made, long first, long last, const ConvSizes *s) {          \
        FUNCTION<T>(x, other, made, first, last, *s);                                                                \
    }

EXPORT(convolve_float, convolve, float)
EXPORT(convolve_double, convolve, double)
EXPORT(filter_gradient_float, filter_gradient, float)
EXPORT(filter_gradient_double, filter_gradient, double)
