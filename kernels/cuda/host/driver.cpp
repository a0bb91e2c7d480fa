// The kernels behind the few functions of the CUDA driver that we call, for tests on machines without a GPU. Each emulated device has a
// part of the host's memory that is out of reach while another device works, so that an address of the wrong device ends the test.
// Copies that a driver may do later are done as late as it may. Only what needs barriers runs its block's threads side by side, as
// fibers.
//
// ZKLOOM_EMULATED_DEVICES is the number of devices (1), ZKLOOM_EMULATED_MEMORY their memory in bytes, with commas between them. Tests
// ask for faults by the functions at the end.
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../kernels.cu"

namespace {

const int SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, NOT_FOUND = 500,
          ILLEGAL_ADDRESS = 700;

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
    PLAIN(sum_strips),     PLAIN(check_points), PLAIN(double_points), PLAIN(flatten_points),
    WITH_BARRIERS(transform_layers),
};

// ---- the devices ----

const size_t ROOM = (size_t)16 << 30, LEAST_STEP = 256, PAGE = 4096;
const int MOST_DEVICES = 4;

struct Copy {
    u64 target;
    const void* source;
    size_t bytes;
};

struct Device {
    char* room = nullptr;
    std::map<u64, size_t> allocations;
    size_t used = 0, peak = 0, limit = (size_t)8 << 30;
    // Copies that were asked for and not done yet; how many were done.
    std::deque<Copy> later;
    u64 asked = 0, done = 0;
    // Launches until the device is lost, if it is going to be.
    long remaining = -1;
    bool lost = false;
    u64 launches = 0;
};

std::recursive_mutex lock_of_all;
Device devices[MOST_DEVICES];
int count_of_devices = 1;
// The device whose memory can be reached.
Device* reachable = nullptr;
thread_local Device* current = nullptr;
std::string fault;
bool refuses_host_memory = false;

typedef std::lock_guard<std::recursive_mutex> Lock;

void protect(Device* device, int protection) {
    if (count_of_devices > 1 && device && device->room) mprotect(device->room, ROOM, protection);
}

void reach(Device* device) {
    if (reachable == device) return;
    protect(reachable, PROT_NONE);
    protect(device, PROT_READ | PROT_WRITE);
    reachable = device;
}

void read_environment() {
    if (const char* count = getenv("ZKLOOM_EMULATED_DEVICES")) {
        int number = atoi(count);
        count_of_devices = number < 1 ? 1 : number > MOST_DEVICES ? MOST_DEVICES : number;
    }
    const char* memory = getenv("ZKLOOM_EMULATED_MEMORY");
    for (int number = 0; memory && number < MOST_DEVICES; number++) {
        devices[number].limit = strtoull(memory, nullptr, 10);
        memory = strchr(memory, ',');
        if (memory) memory++;
    }
}

// Whether a range lies within one allocation.
bool within(Device* device, u64 address, size_t bytes) {
    auto next = device->allocations.upper_bound(address);
    if (next == device->allocations.begin()) return bytes == 0;
    --next;
    return address - next->first <= next->second && bytes <= next->second - (address - next->first);
}

// Does what was put off; then the device is as a driver's call finds it.
int settle_copies(Device* device) {
    reach(device);
    while (!device->later.empty()) {
        Copy copy = device->later.front();
        device->later.pop_front();
        device->done++;
        if (!device->lost) memcpy((void*)copy.target, copy.source, copy.bytes);
    }
    return device->lost ? ILLEGAL_ADDRESS : SUCCESS;
}

// The calling thread's device, ready for work; nothing without one.
Device* ready(int* error) {
    if (!current) return *error = INVALID_CONTEXT, nullptr;
    *error = settle_copies(current);
    return *error == SUCCESS ? current : nullptr;
}

// The lowest free place of so many bytes.
u64 place_for(Device* device, size_t bytes) {
    u64 at = (u64)device->room;
    for (auto& known : device->allocations) {
        if (known.first - at >= bytes) break;
        at = (known.first + known.second + LEAST_STEP - 1) / LEAST_STEP * LEAST_STEP;
    }
    return at;
}

}  // namespace

static void __syncthreads() {
    if (!in_fiber) std::abort();
    u32 thread = current_fiber;
    swapcontext(&fibers[thread], &scheduler);
}

extern "C" {

int cuInit(unsigned) {
    Lock lock(lock_of_all);
    static bool first = true;
    if (first) read_environment();
    first = false;
    return SUCCESS;
}

int cuDriverGetVersion(int* version) { return *version = 13000, SUCCESS; }
int cuDeviceGetCount(int* count) { return *count = count_of_devices, SUCCESS; }
int cuDeviceGet(int* device, int number) {
    return number >= 0 && number < count_of_devices ? (*device = number, SUCCESS) : INVALID_DEVICE;
}
int cuDeviceGetName(char* name, int len, int) { return strncpy(name, "emulated GPU", len), SUCCESS; }
int cuDeviceTotalMem_v2(size_t* bytes, int device) { return *bytes = devices[device].limit, SUCCESS; }
int cuDeviceGetAttribute(int* value, int attribute, int) {
    // Multiprocessors, and the two parts of the compute capability.
    *value = attribute == 16 ? 2 : attribute == 75 ? 9 : 0;
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void** context, int number) {
    Lock lock(lock_of_all);
    Device* device = &devices[number];
    if (!device->room) {
        // One device's memory is always in reach, several devices' only in turn.
        int protection = count_of_devices > 1 ? PROT_NONE : PROT_READ | PROT_WRITE;
        void* room = mmap(nullptr, ROOM, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED) return OUT_OF_MEMORY;
        device->room = static_cast<char*>(room);
    }
    return *context = device, SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxSetCurrent(void* context) { return current = static_cast<Device*>(context), SUCCESS; }

int cuCtxSynchronize() {
    Lock lock(lock_of_all);
    int error;
    return ready(&error) ? SUCCESS : error;
}

int cuModuleLoadData(void** module, const void* image) {
    // A driver reads words of eight bytes.
    if (!current || (u64)image % 8 != 0) return INVALID_VALUE;
    return *module = functions, SUCCESS;
}
int cuModuleUnload(void*) { return SUCCESS; }

int cuModuleGetFunction(void** function, void*, const char* name) {
    for (Function& known : functions)
        if (known.name == name) return *function = &known, SUCCESS;
    return NOT_FOUND;
}

int cuMemGetInfo_v2(size_t* free, size_t* total) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    *total = device->limit;
    *free = *total > device->used ? *total - device->used : 0;
    return SUCCESS;
}

int cuMemAlloc_v2(u64* address, size_t bytes) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > device->limit || device->used > device->limit - bytes) return OUT_OF_MEMORY;
    u64 place = place_for(device, bytes);
    if (place + bytes > (u64)device->room + ROOM) return OUT_OF_MEMORY;
    // What is read before it is written should be noticed.
    memset((void*)place, 0xa5, bytes);
    device->used += bytes;
    if (device->used > device->peak) device->peak = device->used;
    device->allocations[place] = bytes;
    return *address = place, SUCCESS;
}

int cuMemFree_v2(u64 address) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    auto known = device->allocations.find(address);
    if (known == device->allocations.end()) return INVALID_VALUE;
    u64 first = (address + PAGE - 1) / PAGE * PAGE, end = (address + known->second) / PAGE * PAGE;
    if (end > first) madvise((void*)first, end - first, MADV_DONTNEED);
    device->used -= known->second;
    device->allocations.erase(known);
    return SUCCESS;
}

int cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    if (refuses_host_memory || !current) return OUT_OF_MEMORY;
    return *memory = malloc(bytes), *memory ? SUCCESS : OUT_OF_MEMORY;
}
int cuMemFreeHost(void* memory) { return std::free(memory), SUCCESS; }

// An event is the number of copies that were asked for before it.
int cuEventCreate(void** event, unsigned) { return *event = new u64(0), SUCCESS; }
int cuEventDestroy_v2(void* event) { return delete static_cast<u64*>(event), SUCCESS; }
int cuEventRecord(void* event, void*) {
    Lock lock(lock_of_all);
    if (!current) return INVALID_CONTEXT;
    return *static_cast<u64*>(event) = current->asked, SUCCESS;
}
int cuEventSynchronize(void* event) {
    Lock lock(lock_of_all);
    if (!current) return INVALID_CONTEXT;
    return current->done < *static_cast<u64*>(event) ? settle_copies(current) : current->lost ? ILLEGAL_ADDRESS : SUCCESS;
}

int cuMemcpyHtoD_v2(u64 target, const void* source, size_t bytes) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    return within(device, target, bytes) ? (memcpy((void*)target, source, bytes), SUCCESS) : INVALID_VALUE;
}

int cuMemcpyHtoDAsync_v2(u64 target, const void* source, size_t bytes, void*) {
    Lock lock(lock_of_all);
    if (!current) return INVALID_CONTEXT;
    if (current->lost) return ILLEGAL_ADDRESS;
    if (!within(current, target, bytes)) return INVALID_VALUE;
    current->later.push_back({target, source, bytes});
    current->asked++;
    return SUCCESS;
}

int cuMemcpyDtoH_v2(void* target, u64 source, size_t bytes) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    return within(device, source, bytes) ? (memcpy(target, (const void*)source, bytes), SUCCESS) : INVALID_VALUE;
}

int cuMemcpyDtoD_v2(u64 target, u64 source, size_t bytes) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    if (!within(device, target, bytes) || !within(device, source, bytes)) return INVALID_VALUE;
    memmove((void*)target, (const void*)source, bytes);
    return SUCCESS;
}

int cuMemcpyPeer(u64 target, void* target_context, u64 source, void* source_context, size_t bytes) {
    Lock lock(lock_of_all);
    Device *to = static_cast<Device*>(target_context), *from = static_cast<Device*>(source_context);
    for (Device* device : {to, from})
        if (int error = settle_copies(device)) return error;
    if (!within(to, target, bytes) || !within(from, source, bytes)) return INVALID_VALUE;
    protect(to, PROT_READ | PROT_WRITE);
    memcpy((void*)target, (const void*)source, bytes);
    if (to != from) protect(to, PROT_NONE);
    return SUCCESS;
}

int cuMemsetD8_v2(u64 target, unsigned char value, size_t bytes) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    return within(device, target, bytes) ? (memset((void*)target, value, bytes), SUCCESS) : INVALID_VALUE;
}

int cuLaunchKernel(void* function, unsigned blocks, unsigned grid_y, unsigned grid_z, unsigned threads, unsigned block_y, unsigned block_z,
                   unsigned shared, void*, void** arguments, void**) {
    Lock lock(lock_of_all);
    int error;
    Device* device = ready(&error);
    if (!device) return error;
    const Function* known = static_cast<const Function*>(function);
    if (blocks == 0 || threads == 0 || threads > 1024 || shared > 48 << 10) return INVALID_VALUE;
    if (grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1) return INVALID_VALUE;
    if (known->name == fault) return ILLEGAL_ADDRESS;
    device->launches++;
    // A kernel that fails does so after its launch: the next call tells.
    if (device->remaining == 0) return device->lost = true, SUCCESS;
    if (device->remaining > 0) device->remaining--;
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
            : error == INVALID_DEVICE  ? "CUDA_ERROR_INVALID_DEVICE"
            : error == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT"
            : error == NOT_FOUND       ? "CUDA_ERROR_NOT_FOUND"
            : error == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                       : "CUDA_SUCCESS";
    return SUCCESS;
}

int cuGetErrorString(int error, const char** text) { return *text = error ? "an emulated failure" : "no error", SUCCESS; }

// So many devices, before any is opened.
void zkloom_emulation_devices(int count) { count_of_devices = count < 1 ? 1 : count > MOST_DEVICES ? MOST_DEVICES : count; }
// From now on a device has this much memory.
void zkloom_emulation_limit(int device, u64 bytes) { devices[device].limit = bytes; }
// The most memory of a device that was in use at a time, and the launches it has seen.
u64 zkloom_emulation_peak(int device) { return devices[device].peak; }
u64 zkloom_emulation_launches(int device) { return devices[device].launches; }
// From now on launches of the kernel of this name fail.
void zkloom_emulation_fail(const char* kernel) { fault = kernel; }
// After so many launches more a device is lost.
void zkloom_emulation_lose(int device, long launches) { devices[device].remaining = launches; }
// From now on there is no memory of the host that copies could come from directly.
void zkloom_emulation_refuse_host_memory() { refuses_host_memory = true; }

}  // extern "C"
