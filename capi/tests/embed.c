/* What a prover in C does with a device: sums, transforms, and errors that it can read. Exits 0 if all is as it should be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zkloom.h>

#define CHECK(condition)                                                                        \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, zkloom_last_error());   \
            return 1;                                                                           \
        }                                                                                       \
    } while (0)

enum { COUNT = 64, LOG = 6 };

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "cpu";
    char list[4096];
    size_t needed = 0;
    CHECK(zkloom_devices(list, sizeof list, &needed) == ZKLOOM_OK);
    CHECK(needed > 4 && strncmp(list, "cpu", 3) == 0);
    CHECK(zkloom_devices(list, 4, NULL) == ZKLOOM_OK && strcmp(list, "cpu") == 0);

    zkloom_device *device = NULL;
    CHECK(zkloom_device_open("abacus", 0, &device) == ZKLOOM_UNAVAILABLE && device == NULL);
    CHECK(strstr(zkloom_last_error(), "abacus") != NULL);
    CHECK(zkloom_device_open(NULL, 0, &device) == ZKLOOM_INVALID_ARGUMENT);
    CHECK(zkloom_device_open(name, 2, &device) == ZKLOOM_OK && device != NULL);

    /* The generator (1, 2), the identity in between. */
    static uint64_t points[COUNT][8];
    static uint64_t scalars[COUNT][4];
    static int64_t integers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        if (i % 2 == 0) {
            points[i][0] = 1;
            points[i][4] = 2;
        }
        scalars[i][0] = (uint64_t)i + 1;
        integers[i] = i % 4 == 0 ? -(i + 1) : i + 1;
    }
    zkloom_bases *bases = NULL;
    CHECK(zkloom_bases_upload(device, &points[0][0], COUNT, ZKLOOM_CANONICAL, &bases) == ZKLOOM_OK);
    /* 1 + 3 + ... + 63 = 1024 times the generator, and -1 + 3 - 5 + 7 ... = 32 times. */
    uint64_t sum[8], again[8], small[8], expected[8];
    CHECK(zkloom_msm(device, bases, &scalars[0][0], COUNT, ZKLOOM_CANONICAL, sum) == ZKLOOM_OK);
    uint64_t single[4] = {1024, 0, 0, 0};
    CHECK(zkloom_msm(device, bases, single, 1, ZKLOOM_CANONICAL, expected) == ZKLOOM_OK);
    CHECK(memcmp(sum, expected, sizeof sum) == 0);
    CHECK(zkloom_msm_integers(device, bases, integers, COUNT, ZKLOOM_CANONICAL, small) == ZKLOOM_OK);
    single[0] = 32;
    CHECK(zkloom_msm(device, bases, single, 1, ZKLOOM_CANONICAL, expected) == ZKLOOM_OK);
    CHECK(memcmp(small, expected, sizeof small) == 0);
    CHECK(zkloom_msm(device, bases, NULL, 0, ZKLOOM_CANONICAL, again) == ZKLOOM_OK);
    for (int i = 0; i < 8; i++) CHECK(again[i] == 0);

    /* There and back, on the subgroup and on a coset. */
    uint64_t values[COUNT][4];
    const uint64_t shift[4] = {7, 0, 0, 0};
    const uint64_t *shifts[2] = {NULL, shift};
    for (int i = 0; i < 2; i++) {
        memcpy(values, scalars, sizeof values);
        CHECK(zkloom_ntt(device, &values[0][0], LOG, ZKLOOM_FORWARD, shifts[i], ZKLOOM_CANONICAL) == ZKLOOM_OK);
        CHECK(memcmp(values, scalars, sizeof values) != 0);
        if (shifts[i] == NULL) CHECK(values[0][0] == 2080 && values[0][1] == 0);
        CHECK(zkloom_ntt(device, &values[0][0], LOG, ZKLOOM_INVERSE, shifts[i], ZKLOOM_CANONICAL) == ZKLOOM_OK);
        CHECK(memcmp(values, scalars, sizeof values) == 0);
    }

    /* What is refused. */
    const uint64_t large[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    CHECK(zkloom_msm(device, bases, large, 1, ZKLOOM_CANONICAL, sum) == ZKLOOM_INVALID_ARGUMENT);
    CHECK(zkloom_msm(device, NULL, single, 1, ZKLOOM_CANONICAL, sum) == ZKLOOM_INVALID_ARGUMENT);
    CHECK(zkloom_msm(device, bases, single, 1, (zkloom_form)9, sum) == ZKLOOM_INVALID_ARGUMENT);
    CHECK(zkloom_ntt(device, &values[0][0], 29, ZKLOOM_FORWARD, NULL, ZKLOOM_CANONICAL) == ZKLOOM_INVALID_ARGUMENT);
    points[0][0] = 3;
    zkloom_bases *wrong = NULL;
    CHECK(zkloom_bases_upload(device, &points[0][0], 1, ZKLOOM_CANONICAL, &wrong) == ZKLOOM_INVALID_ARGUMENT);
    CHECK(strstr(zkloom_last_error(), "curve") != NULL && wrong == NULL);

    zkloom_bases_close(bases);
    zkloom_bases_close(NULL);
    zkloom_device_close(device);
    zkloom_device_close(NULL);
    puts("all is as it should be");
    return 0;
}
