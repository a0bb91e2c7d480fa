// Every kernel, as one unit of compilation.
#include "boxes.cuh"
#include "checks.cuh"
#include "interpreter.cuh"
#include "rows.cuh"
#include "scan.cuh"
#include "sums.cuh"
#include "transform.cuh"
#include "vectors.cuh"
