// Attention of a few hundred positions at most on one core, forward and backward: heads of windows, one by one, read
// from and written to maps with channels last. attend.py says what is computed.
//
// Rows of a window are gathered from the map once. Products are of a matrix by rows, number by number, with another one
// whose rows are whole vectors: a tile of the result stays in registers.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

struct AttendSizes {
    long places;     // positions of a map
    long windows;    // of a map
    long positions;  // of a window
    long heads;
    long width;      // channels of a head
    long row;        // numbers in a row of bias and mask: positions, and zeros up to whole vectors
    double scale;    // of the products of queries and keys
};

namespace {

#if defined(__AVX512F__)
const int BYTES = 64, WIDE = 4, SUMS = 24;
#elif defined(__AVX__)
const int BYTES = 32, WIDE = 2, SUMS = 8;
#else
const int BYTES = 16, WIDE = 2, SUMS = 8;
#endif

template <class T> const int V = BYTES / sizeof(T);
template <class T> struct Lanes {
    typedef T vec __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
};
template <class T> using vec = typename Lanes<T>::vec;
typedef int32_t whole __attribute__((vector_size(BYTES)));

// A matrix of which number (r, k) stands at r * row + k * column.
template <class T> struct Matrix {
    const T *data;
    long row, column;
};

// R rows and N vectors of c = a b; rows of b are `b_row` numbers apart, those of c `c_row`.
template <class T, int R, int N> void tile(Matrix<T> a, const T *b, long b_row, T *c, long c_row, long depth) {
    vec<T> sum[R][N] = {};
    for (long k = 0; k < depth; k++) {
        vec<T> right[N];
        for (int n = 0; n < N; n++) right[n] = *(const vec<T> *)(b + k * b_row + n * V<T>);
        for (int r = 0; r < R; r++) {
            const T left = a.data[r * a.row + k * a.column];
            for (int n = 0; n < N; n++) sum[r][n] += left * right[n];
        }
    }
    for (int r = 0; r < R; r++)
        for (int n = 0; n < N; n++) *(vec<T> *)(c + r * c_row + n * V<T>) = sum[r][n];
}

template <class T, int N>
void panel(Matrix<T> a, const T *b, long b_row, T *c, long c_row, long rows, long depth) {
    const int R = SUMS / N;
    long r = 0;
    for (; r + R <= rows; r += R)
        tile<T, R, N>({a.data + r * a.row, a.row, a.column}, b, b_row, c + r * c_row, c_row, depth);
    for (; r < rows; r++) tile<T, 1, N>({a.data + r * a.row, a.row, a.column}, b, b_row, c + r * c_row, c_row, depth);
}

// c = a b, for a number of columns that fills vectors.
template <class T>
void product(Matrix<T> a, const T *b, long b_row, T *c, long c_row, long rows, long columns, long depth) {
    long j = 0;
    for (; j + WIDE * V<T> <= columns; j += WIDE * V<T>) panel<T, WIDE>(a, b + j, b_row, c + j, c_row, rows, depth);
    for (; j + 2 * V<T> <= columns; j += 2 * V<T>) panel<T, 2>(a, b + j, b_row, c + j, c_row, rows, depth);
    for (; j < columns; j += V<T>) panel<T, 1>(a, b + j, b_row, c + j, c_row, rows, depth);
}

// exp of numbers that are not far above zero; far below, exactly zero.
inline vec<float> exponential(vec<float> x) {
    const vec<float> zero = {}, low = zero - 87.0f;
    const whole far = x < low;
    const vec<float> held = far ? low : x;
    const vec<float> shifted = held * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;  // rounded
    const vec<float> r = held - n * 0.693359375f + n * 2.12194440e-4f;
    vec<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const whole power = (__builtin_convertvector(n, whole) + 127) << 23;
    return far ? zero : p * (vec<float>)power;
}

inline vec<double> exponential(vec<double> x) {
    for (int i = 0; i < V<double>; i++) x[i] = std::exp(x[i]);
    return x;
}

// One head of one window while it is computed. Its rows are whole vectors, with zeros at the end of what is gathered.
template <class T> struct Head {
    const AttendSizes &s;
    const long *order;
    long window, head, first;  // `first` position of the image
    long channels, wide, queries;

    static long up(long size) { return (size + V<T> - 1) / V<T> * V<T>; }

    Head(const AttendSizes &sizes, const long *places, long item)
        : s(sizes), order(places + item / s.heads % s.windows * s.positions), window(item / s.heads % s.windows),
          head(item % s.heads), first(item / s.heads / s.windows * s.places), channels(s.heads * s.width),
          wide(up(s.width)), queries(up(s.positions)) {}

    // Where a position's numbers of this head stand: part 0, 1 or 2 of `parts`.
    long at(long position, long part, long parts) const {
        return ((first + order[position]) * parts + part) * channels + head * s.width;
    }

    // (positions, width), times a factor.
    void rows(const T *map, long part, long parts, T factor, T *to) const {
        for (long p = 0; p < s.positions; p++) {
            const T *from = map + at(p, part, parts);
            for (long d = 0; d < s.width; d++) to[p * wide + d] = factor * from[d];
        }
    }

    // (width, positions), times a factor.
    void columns(const T *map, long part, long parts, T factor, T *to) const {
        for (long p = 0; p < s.positions; p++) {
            const T *from = map + at(p, part, parts);
            for (long d = 0; d < s.width; d++) to[d * queries + p] = factor * from[d];
        }
    }

    // The inverse of `rows`, with a factor for every row.
    void put(const T *rows, const T *factors, T *map, long part, long parts) const {
        for (long p = 0; p < s.positions; p++) {
            T *to = map + at(p, part, parts);
            const T factor = factors ? factors[p] : 1;
            for (long d = 0; d < s.width; d++) to[d] = factor * rows[p * wide + d];
        }
    }

    // Products of keys (rows) and vectors of queries from `first_query` on (columns) made weights, but for a factor of
    // every query; `tops` is for the largest of every column.
    void weigh(T *logits, long first_query, long vectors, const T *bias, const T *mask, T *tops, T *factors) const {
        const long P = s.positions, columns = vectors * V<T>;
        vec<T> *top = (vec<T> *)tops, *sum = (vec<T> *)factors;
        const T *own = bias ? bias + head * P * s.row + first_query : nullptr;
        const T *apart = mask ? mask + window * P * s.row + first_query : nullptr;
        for (long j = 0; j < P; j++) {
            vec<T> *row = (vec<T> *)(logits + j * columns);
            for (long n = 0; own && n < vectors; n++) row[n] += ((const vec<T> *)(own + j * s.row))[n];
            for (long n = 0; apart && n < vectors; n++) row[n] += ((const vec<T> *)(apart + j * s.row))[n];
            for (long n = 0; n < vectors; n++) top[n] = j && top[n] > row[n] ? top[n] : row[n];
        }
        memset(factors, 0, columns * sizeof(T));
        for (long j = 0; j < P; j++) {
            vec<T> *row = (vec<T> *)(logits + j * columns);
            for (long n = 0; n < vectors; n++) sum[n] += row[n] = exponential(row[n] - top[n]);
        }
        for (long n = 0; n < vectors; n++) sum[n] = 1 / sum[n];
    }
};

template <class T>
void attend(const T *qkv, const long *order, const T *bias, const T *mask, T *y, T *weights, long from, long to,
            const AttendSizes &s) {
    const Head<T> any(s, order, from);
    const long P = s.positions, queries = any.queries, wide = any.wide, most = (P > 64 ? 2 : 4) * V<T>;
    std::vector<T> q(s.width * queries), k(P * wide), v(P * wide), w(P * most), out(P * wide);
    std::vector<T> tops(queries), factors(queries);
    for (long item = from; item < to; item++) {
        const Head<T> one(s, order, item);
        one.columns(qkv, 0, 3, s.scale, q.data());
        one.rows(qkv, 1, 3, 1, k.data());
        one.rows(qkv, 2, 3, 1, v.data());
        for (long b = 0; b < queries; b += most) {  // so few queries that their weights stay in the cache
            const long columns = queries - b < most ? queries - b : most, mine = P - b < columns ? P - b : columns;
            product<T>({k.data(), wide, 1}, &q[b], queries, w.data(), columns, P, columns, s.width);
            one.weigh(w.data(), b, columns / V<T>, bias, mask, &tops[b], &factors[b]);
            product<T>({w.data(), 1, columns}, v.data(), wide, &out[b * wide], wide, mine, wide, P);
            for (long j = 0; weights && j < P; j++)
                for (long p = 0; p < mine; p++)
                    weights[(item * P + j) * P + b + p] = factors[b + p] * w[j * columns + p];
        }
        one.put(out.data(), factors.data(), y, 0, 1);
    }
}

// `weights`, by keys, are kept from forward.
template <class T>
void attend_backward(const T *qkv, const long *order, const T *dy, const T *weights, T *dqkv, T *dbias, long from,
                     long to, const AttendSizes &s) {
    const Head<T> any(s, order, from);
    const long P = s.positions, queries = any.queries, wide = any.wide, vectors = queries / V<T>;
    std::vector<T> q(P * wide), k(P * wide), v(P * wide), grad(P * wide), turned(s.width * queries), out(P * wide);
    std::vector<T> w(P * queries), dw(P * queries), sums(queries);
    for (long item = from; item < to; item++) {
        const Head<T> one(s, order, item);
        one.rows(qkv, 0, 3, s.scale, q.data());
        one.rows(qkv, 1, 3, s.scale, k.data());
        one.rows(qkv, 2, 3, 1, v.data());
        one.rows(dy, 0, 1, 1, grad.data());
        for (long j = 0; j < P; j++) memcpy(&w[j * queries], weights + (item * P + j) * P, P * sizeof(T));
        product<T>({w.data(), queries, 1}, grad.data(), wide, out.data(), wide, P, wide, P);
        one.put(out.data(), nullptr, dqkv, 2, 3);
        one.columns(dy, 0, 1, 1, turned.data());
        product<T>({v.data(), wide, 1}, turned.data(), queries, dw.data(), queries, P, queries, s.width);
        vec<T> *sum = (vec<T> *)sums.data();
        memset(sums.data(), 0, queries * sizeof(T));
        for (long j = 0; j < P; j++)
            for (long n = 0; n < vectors; n++)
                sum[n] += ((const vec<T> *)&w[j * queries])[n] * ((const vec<T> *)&dw[j * queries])[n];
        for (long j = 0; j < P; j++) {
            vec<T> *row = (vec<T> *)&dw[j * queries], *into = (vec<T> *)(dbias + (one.head * P + j) * s.row);
            for (long n = 0; n < vectors; n++) row[n] = (row[n] - sum[n]) * ((const vec<T> *)&w[j * queries])[n];
            for (long n = 0; dbias && n < vectors; n++) into[n] += row[n];
        }
        product<T>({dw.data(), 1, queries}, k.data(), wide, out.data(), wide, P, wide, P);
        one.put(out.data(), nullptr, dqkv, 0, 3);
        product<T>({dw.data(), queries, 1}, q.data(), wide, out.data(), wide, P, wide, P);
        one.put(out.data(), nullptr, dqkv, 1, 3);
    }
}

}  // namespace

#define EXPORT(T)                                                                                                      \
    extern "C" void attend_##T(const T *qkv, const long *order, const T *bias, const T *mask, T *y, T *weights,        \
                               long from, long to, const AttendSizes *s) {                                             \
        attend<T>(qkv, order, bias, mask, y, weights, from, to, *s);                                                   \
    }                                                                                                                  \
    extern "C" void attend_backward_##T(const T *qkv, const long *order, const T *dy, const T *weights, T *dqkv,       \
                                        T *dbias, long from, long to, const AttendSizes *s) {                          \
        attend_backward<T>(qkv, order, dy, weights, dqkv, dbias, from, to, *s);                                        \
    }

EXPORT(float)
EXPORT(double)
