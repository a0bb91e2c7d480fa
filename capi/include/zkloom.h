/* zkLoom's devices for provers in C and C++: BN254 multi-scalar multiplication and NTT on a CPU or an accelerator.
 *
 * Every function returns a zkloom_status; zkloom_last_error() tells more in words. Field elements are 4 words of 64 bits, least
 * first, below the modulus: canonical, or in Montgomery form with radix 2^256, as `form` says. Points are affine, x before y in 8
 * words over the base field; the identity is all zeros. Handles may be used from several threads at once; a handle is closed once, after
 * its last use, bases before their device. Arithmetic is variable time. */
#ifndef ZKLOOM_H
#define ZKLOOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zkloom_status {
    ZKLOOM_OK = 0,
    ZKLOOM_INVALID_ARGUMENT = 1, /* a null pointer, a length, an element not below its modulus, a point off the curve */
    ZKLOOM_UNAVAILABLE = 2,      /* no such device, or one that can't be used here */
    ZKLOOM_OUT_OF_MEMORY = 3,
    ZKLOOM_DEVICE_FAILED = 4,
    ZKLOOM_INTERNAL = 5 /* a defect in the library */
} zkloom_status;

typedef enum zkloom_form { ZKLOOM_CANONICAL = 0, ZKLOOM_MONTGOMERY = 1 } zkloom_form;

typedef enum zkloom_direction { ZKLOOM_FORWARD = 0, ZKLOOM_INVERSE = 1 } zkloom_direction;

typedef struct zkloom_device zkloom_device;
typedef struct zkloom_bases zkloom_bases;

/* The last failure on this thread, in words; valid until the next call on this thread. Never null. */
const char *zkloom_last_error(void);

/* Names and descriptions of the devices that were found, one in a line, zero-terminated; cut off where `capacity` ends. `needed`
 * receives the bytes that all of it takes. */
zkloom_status zkloom_devices(char *text, size_t capacity, size_t *needed);

/* Opens a device by name (`auto`, `cpu`, `cuda:0`, `icicle:CUDA`, `wgpu:0`) after a test on known answers. `threads` are the
 * processor's, 0 for all. A named device is never replaced by another. */
zkloom_status zkloom_device_open(const char *name, size_t threads, zkloom_device **device);
void zkloom_device_close(zkloom_device *device);

/* Copies points to the device, where they stay. */
zkloom_status zkloom_bases_upload(const zkloom_device *device, const uint64_t *points, size_t count, zkloom_form form,
                                  zkloom_bases **bases);
void zkloom_bases_close(zkloom_bases *bases);

/* sum_i scalars[i] * bases[i] for at most as many scalars as bases; `sum` receives one affine point in the same form. */
zkloom_status zkloom_msm(const zkloom_device *device, const zkloom_bases *bases, const uint64_t *scalars, size_t count,
                         zkloom_form form, uint64_t sum[8]);

/* The same for integers, whose cost follows the bits that they really have. */
zkloom_status zkloom_msm_integers(const zkloom_device *device, const zkloom_bases *bases, const int64_t *scalars,
                                  size_t count, zkloom_form form, uint64_t sum[8]);

/* In-place transform of 2^log_size scalars in natural order over the coset `shift * H` (`shift` null for the subgroup itself), whose
 * generator is TWO_ADIC_ROOT_OF_UNITY^(2^28 / 2^log_size) of ark-bn254. The inverse includes the factor 1/n. */
zkloom_status zkloom_ntt(const zkloom_device *device, uint64_t *values, uint32_t log_size, zkloom_direction direction,
                         const uint64_t *shift, zkloom_form form);

#ifdef __cplusplus
}
#endif

#endif
