// CUDA's words for a compiler that knows none: the kernels as ordinary C++, one thread of the grid after the other.
#pragma once
#include <cstring>

#define DEVICE inline
#define ALIGN16 alignas(16)
#define UNROLL
#define NO_UNROLL
#define KERNEL(threads) static
#define SHARED(type, name) type* name = reinterpret_cast<type*>(emulated_shared)
#define __restrict__ __restrict

struct Index {
    u32 x;
};
static Index threadIdx, blockIdx, blockDim, gridDim;
alignas(16) static unsigned char emulated_shared[1 << 17];

// Waits until every thread of the block has come here; in driver.cpp.
static void __syncthreads();

// Threads run one at a time, so plain additions are atomic.
template <class Word> static inline Word atomicAdd(Word* target, Word value) {
    Word before = *target;
    *target += value;
    return before;
}

// The carry flag.
static u32 carry_flag;
static inline u32 carried(u64 sum) {
    carry_flag = (u32)(sum >> 32);
    return (u32)sum;
}
static inline u32 borrowed(u64 difference) {
    carry_flag = (u32)(difference >> 63);
    return (u32)difference;
}
static inline u32 mul_lo(u32 a, u32 b) { return a * b; }
static inline u32 mul_hi(u32 a, u32 b) { return (u32)(((u64)a * b) >> 32); }
static inline u32 add_cc(u32 a, u32 b) { return carried((u64)a + b); }
static inline u32 addc_cc(u32 a, u32 b) { return carried((u64)a + b + carry_flag); }
static inline u32 addc(u32 a, u32 b) { return a + b + carry_flag; }
static inline u32 sub_cc(u32 a, u32 b) { return borrowed((u64)a - b); }
static inline u32 subc_cc(u32 a, u32 b) { return borrowed((u64)a - b - carry_flag); }
static inline u32 subc(u32 a, u32 b) { return a - b - carry_flag; }
static inline u32 mad_lo_cc(u32 a, u32 b, u32 c) { return carried((u64)mul_lo(a, b) + c); }
static inline u32 madc_lo_cc(u32 a, u32 b, u32 c) { return carried((u64)mul_lo(a, b) + c + carry_flag); }
static inline u32 madc_hi_cc(u32 a, u32 b, u32 c) { return carried((u64)mul_hi(a, b) + c + carry_flag); }
static inline u32 madc_hi(u32 a, u32 b, u32 c) { return mul_hi(a, b) + c + carry_flag; }
