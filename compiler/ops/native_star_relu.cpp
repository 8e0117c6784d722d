// StarReLU, scale * relu(x)^2 + bias, in one pass over numbers that lie in a row, and its gradients in another one.

namespace {

template <class T> void star_relu(const T *x, T *y, double scale, double bias, long first, long last) {
    const T s = scale, b = bias;
    for (long i = first; i < last; i++) {
        const T risen = x[i] < 0 ? 0 : x[i];  // so that what is no number stays none
        y[i] = s * (risen * risen) + b;
    }
}

// `sums`: those of grad * relu(x)^2 and of grad, in runs short enough that nothing is lost.
template <class T>
void star_relu_backward(const T *x, const T *grad, T *dx, double scale, double *sums, long first, long last) {
    const int LANES = 64, RUN = 4096;
    const T twice = 2 * scale;
    sums[0] = sums[1] = 0;
    for (long start = first; start < last; start += RUN) {
        const long end = start + RUN < last ? start + RUN : last;
        T squares[LANES] = {}, plain[LANES] = {};
        long i = start;
        for (; i + LANES <= end; i += LANES)
            for (int l = 0; l < LANES; l++) {
                const T risen = x[i + l] < 0 ? 0 : x[i + l], part = grad[i + l] * risen;
                dx[i + l] = twice * part;
                squares[l] += part * risen;
                plain[l] += grad[i + l];
            }
        for (; i < end; i++) {
            const T risen = x[i] < 0 ? 0 : x[i], part = grad[i] * risen;
            dx[i] = twice * part;
            squares[0] += part * risen;
            plain[0] += grad[i];
        }
        for (int l = 0; l < LANES; l++) sums[0] += squares[l], sums[1] += plain[l];
    }
}

}  // namespace

#define EXPORT(T)                                                                                                      \
    extern "C" void star_relu_##T(const T *x, T *y, double scale, double bias, long first, long last) {                \
        star_relu<T>(x, y, scale, bias, first, last);                                                                  \
    }                                                                                                                  \
    extern "C" void star_relu_backward_##T(const T *x, const T *grad, T *dx, double scale, double *sums, long first,   \
                                           long last) {                                                                \
        star_relu_backward<T>(x, grad, dx, scale, sums, first, last);                                                  \
    }

EXPORT(float)
EXPORT(double)
