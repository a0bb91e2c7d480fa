// Every kernel, as one unit of compilation.
#include "checks.cuh"
#include "interpreter.cuh"
#include "scan.cuh"
#include "sums.cuh"
#include "transform.cuh"
#include "vectors.cuh"
