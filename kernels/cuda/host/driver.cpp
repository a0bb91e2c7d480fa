// The kernels behind the few functions of the CUDA driver that we call, for tests on machines without a GPU: one emulated device whose
// memory is the host's. Only what needs barriers runs its block's threads side by side, as fibers.
//
// Tests ask for faults by the two functions at the end.
#include <ucontext.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../kernels.cu"

namespace {

const int SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700;

// ---- threads of a block ----

const size_t STACK = 1 << 16;
std::vector<ucontext_t> fibers;
std::vector<std::vector<char>> stacks;
ucontext_t scheduler;
u32 current_fiber;
bool in_fiber = false;
std::vector<char> finished;

struct Call {
    virtual void run() const = 0;
    virtual ~Call() {}
};
const Call* current_call;

void fiber_main() {
    current_call->run();
    finished[current_fiber] = 1;
    swapcontext(&fibers[current_fiber], &scheduler);
}

void run_side_by_side(u32 threads) {
    if (fibers.size() < threads) {
        fibers.resize(threads);
        stacks.resize(threads, std::vector<char>(STACK));
    }
    finished.assign(threads, 0);
    for (u32 thread = 0; thread < threads; thread++) {
        getcontext(&fibers[thread]);
        fibers[thread].uc_stack.ss_sp = stacks[thread].data();
        fibers[thread].uc_stack.ss_size = STACK;
        fibers[thread].uc_link = nullptr;
        makecontext(&fibers[thread], fiber_main, 0);
    }
    in_fiber = true;
    for (u32 left = threads; left > 0;) {
        left = 0;
        for (u32 thread = 0; thread < threads; thread++) {
            if (finished[thread]) continue;
            current_fiber = thread;
            threadIdx.x = thread;
            swapcontext(&scheduler, &fibers[thread]);
            left += !finished[thread];
        }
    }
    in_fiber = false;
}

// ---- kernels by name ----

template <class... A> struct Bound : Call {
    void (*kernel)(A...);
    std::tuple<std::remove_cv_t<A>...> arguments;
    template <size_t... I> void call(std::index_sequence<I...>) const { kernel(std::get<I>(arguments)...); }
    void run() const override { call(std::index_sequence_for<A...>()); }
    template <size_t... I> void fill(void** from, std::index_sequence<I...>) {
        int each[] = {0, (memcpy(&std::get<I>(arguments), from[I], sizeof(std::get<I>(arguments))), 0)...};
        (void)each;
    }
};

struct Function {
    std::string name;
    bool barriers;
    Call* (*bind)(void** arguments);
};

template <auto kernel> struct Binder;
template <class... A, void (*kernel)(A...)> struct Binder<kernel> {
    static Call* bind(void** arguments) {
        Bound<A...>* bound = new Bound<A...>();
        bound->kernel = kernel;
        bound->fill(arguments, std::index_sequence_for<A...>());
        return bound;
    }
};

#define PLAIN(name) {#name, false, &Binder<&name>::bind}
#define WITH_BARRIERS(name) {#name, true, &Binder<&name>::bind}
Function functions[] = {
    PLAIN(widen),          PLAIN(add_scaled),   PLAIN(combine),      PLAIN(fold_powers),
    PLAIN(invert),         PLAIN(fold_blocks),  PLAIN(scan_blocks),  PLAIN(evaluate_strands),
    PLAIN(double_table),   PLAIN(reorder),      PLAIN(run_few),      PLAIN(run_many),
    PLAIN(count_digits),   PLAIN(sort_digits),  PLAIN(fold_counts),  PLAIN(scan_counts),
    PLAIN(sum_sorted),     PLAIN(sum_entries),  PLAIN(weigh_buckets), PLAIN(check_field),
    PLAIN(write_tables),   PLAIN(accumulate_boxes), PLAIN(settle),   PLAIN(combine_rows),
    PLAIN(sum_strips),     PLAIN(check_points),   WITH_BARRIERS(transform_layers),
};

// ---- the device ----

std::recursive_mutex device;
std::map<u64, size_t> allocations;
size_t used = 0;

size_t limit = (size_t)8 << 30;
std::string fault;

// Whether a range lies within one allocation.
bool within(u64 address, size_t bytes) {
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) return bytes == 0;
    --next;
    return address - next->first <= next->second && bytes <= next->second - (address - next->first);
}

typedef std::lock_guard<std::recursive_mutex> Lock;

}  // namespace

static void __syncthreads() {
    if (!in_fiber) std::abort();
    u32 thread = current_fiber;
    swapcontext(&fibers[thread], &scheduler);
}

extern "C" {

int cuInit(unsigned) { return SUCCESS; }
int cuDriverGetVersion(int* version) { return *version = 13000, SUCCESS; }
int cuDeviceGetCount(int* count) { return *count = 1, SUCCESS; }
int cuDeviceGet(int* device, int number) { return number == 0 ? (*device = 0, SUCCESS) : INVALID_VALUE; }
int cuDeviceGetName(char* name, int len, int) { return strncpy(name, "emulated GPU", len), SUCCESS; }
int cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = limit, SUCCESS; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    // Multiprocessors, and the two parts of the compute capability.
    *value = attribute == 16 ? 2 : attribute == 75 ? 9 : 0;
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &device, SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxSetCurrent(void*) { return SUCCESS; }
int cuCtxSynchronize() { return SUCCESS; }
int cuModuleLoadData(void** module, const void*) { return *module = functions, SUCCESS; }
int cuModuleUnload(void*) { return SUCCESS; }

int cuModuleGetFunction(void** function, void*, const char* name) {
    for (Function& known : functions)
        if (known.name == name) return *function = &known, SUCCESS;
    return NOT_FOUND;
}

int cuMemGetInfo_v2(size_t* free, size_t* total) {
    Lock lock(device);
    *total = limit;
    *free = *total > used ? *total - used : 0;
    return SUCCESS;
}

int cuMemAlloc_v2(u64* address, size_t bytes) {
    Lock lock(device);
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > limit || used > limit - bytes) return OUT_OF_MEMORY;
    void* block = nullptr;
    if (posix_memalign(&block, 256, bytes) != 0) return OUT_OF_MEMORY;
    // What is read before it is written should be noticed.
    memset(block, 0xa5, bytes);
    used += bytes;
    *address = (u64)block;
    allocations[*address] = bytes;
    return SUCCESS;
}

int cuMemFree_v2(u64 address) {
    Lock lock(device);
    auto known = allocations.find(address);
    if (known == allocations.end()) return INVALID_VALUE;
    used -= known->second;
    allocations.erase(known);
    std::free((void*)address);
    return SUCCESS;
}

int cuMemcpyHtoD_v2(u64 target, const void* source, size_t bytes) {
    Lock lock(device);
    return within(target, bytes) ? (memcpy((void*)target, source, bytes), SUCCESS) : INVALID_VALUE;
}

int cuMemcpyDtoH_v2(void* target, u64 source, size_t bytes) {
    Lock lock(device);
    return within(source, bytes) ? (memcpy(target, (const void*)source, bytes), SUCCESS) : INVALID_VALUE;
}

int cuMemcpyDtoD_v2(u64 target, u64 source, size_t bytes) {
    Lock lock(device);
    if (!within(target, bytes) || !within(source, bytes)) return INVALID_VALUE;
    memmove((void*)target, (const void*)source, bytes);
    return SUCCESS;
}

int cuMemsetD8_v2(u64 target, unsigned char value, size_t bytes) {
    Lock lock(device);
    return within(target, bytes) ? (memset((void*)target, value, bytes), SUCCESS) : INVALID_VALUE;
}

int cuLaunchKernel(void* function, unsigned blocks, unsigned grid_y, unsigned grid_z, unsigned threads, unsigned block_y, unsigned block_z,
                   unsigned shared, void*, void** arguments, void**) {
    Lock lock(device);
    const Function* known = static_cast<const Function*>(function);
    if (blocks == 0 || threads == 0 || threads > 1024 || shared > 48 << 10) return INVALID_VALUE;
    if (grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1) return INVALID_VALUE;
    if (known->name == fault) return ILLEGAL_ADDRESS;
    Call* call = known->bind(arguments);
    current_call = call;
    gridDim.x = blocks;
    blockDim.x = threads;
    for (u32 block = 0; block < blocks; block++) {
        blockIdx.x = block;
        if (known->barriers) {
            run_side_by_side(threads);
            continue;
        }
        for (u32 thread = 0; thread < threads; thread++) {
            threadIdx.x = thread;
            call->run();
        }
    }
    delete call;
    return SUCCESS;
}

int cuGetErrorName(int error, const char** name) {
    *name = error == INVALID_VALUE     ? "CUDA_ERROR_INVALID_VALUE"
            : error == OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == NOT_FOUND       ? "CUDA_ERROR_NOT_FOUND"
            : error == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                       : "CUDA_SUCCESS";
    return SUCCESS;
}

int cuGetErrorString(int error, const char** text) { return *text = error ? "an emulated failure" : "no error", SUCCESS; }

// From now on the device has this much memory, and launches of the kernel of this name fail.
void zkloom_emulation_limit(u64 bytes) { limit = bytes; }
void zkloom_emulation_fail(const char* kernel) { fault = kernel; }

}  // extern "C"
