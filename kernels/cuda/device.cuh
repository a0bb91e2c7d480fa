// What the kernels need of the compiler: CUDA's own words, or on a host the emulation's, and carry chains.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
#define ALIGN16 __align__(16)
#define UNROLL _Pragma("unroll")
#define NO_UNROLL _Pragma("unroll 1")
#define SHARED(type, name) extern __shared__ type name[]
#define KERNEL(threads) extern "C" __global__ __launch_bounds__(threads)
#else
#include "host/device.h"
#endif

#ifdef __CUDA_ARCH__
// One instruction each. `volatile` keeps their order, and so the carry flag, which the compiler does not see.
#define CHAIN_2(name, text)                                                                    \
    __device__ __forceinline__ u32 name(u32 a, u32 b) {                                        \
        u32 result;                                                                            \
        asm volatile(text " %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));                     \
        return result;                                                                         \
    }
#define CHAIN_3(name, text)                                                                    \
    __device__ __forceinline__ u32 name(u32 a, u32 b, u32 c) {                                 \
        u32 result;                                                                            \
        asm volatile(text " %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));         \
        return result;                                                                         \
    }
CHAIN_2(add_cc, "add.cc.u32")
CHAIN_2(addc_cc, "addc.cc.u32")
CHAIN_2(addc, "addc.u32")
CHAIN_2(sub_cc, "sub.cc.u32")
CHAIN_2(subc_cc, "subc.cc.u32")
CHAIN_2(subc, "subc.u32")
CHAIN_3(mad_lo_cc, "mad.lo.cc.u32")
CHAIN_3(madc_lo_cc, "madc.lo.cc.u32")
CHAIN_3(madc_hi_cc, "madc.hi.cc.u32")
CHAIN_3(madc_hi, "madc.hi.u32")
__device__ __forceinline__ u32 mul_lo(u32 a, u32 b) {
    return a * b;
}
__device__ __forceinline__ u32 mul_hi(u32 a, u32 b) {
    return __umulhi(a, b);
}
#elif defined(__CUDACC__)
// nvcc's pass for the host parses device code and never runs it.
__device__ u32 add_cc(u32, u32);
__device__ u32 addc_cc(u32, u32);
__device__ u32 addc(u32, u32);
__device__ u32 sub_cc(u32, u32);
__device__ u32 subc_cc(u32, u32);
__device__ u32 subc(u32, u32);
__device__ u32 mad_lo_cc(u32, u32, u32);
__device__ u32 madc_lo_cc(u32, u32, u32);
__device__ u32 madc_hi_cc(u32, u32, u32);
__device__ u32 madc_hi(u32, u32, u32);
__device__ u32 mul_lo(u32, u32);
__device__ u32 mul_hi(u32, u32);
struct Element;
template <class M> __device__ Element multiply_on_host(const Element&, const Element&);
#endif

// Number of this thread in the whole grid, and of threads.
DEVICE u64 thread_number() {
    return (u64)blockIdx.x * blockDim.x + threadIdx.x;
}
DEVICE u64 thread_count() {
    return (u64)gridDim.x * blockDim.x;
}
