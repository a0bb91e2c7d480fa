// Gate programs. An operand is a word: its kind in the top four bits (0 register, 1 constant, 2 load), its number below.
#pragma once
#include "field.cuh"

struct Step {
    // 0 add, 1 subtract, 2 multiply
    u32 operation;
    u32 target;
    u32 a;
    u32 b;
};

struct Load {
    const Element* values;
    u64 rotation;
};

struct Code {
    const Step* steps;
    const Load* loads;
    const Element* constants;
    u32 count;
    u32 output;
};

// Registers of a thread, `stride` apart.
DEVICE Element operand_at(const Code& code, const Element* registers, u64 stride, u32 operand, u64 row, u64 rows) {
    u32 number = operand & 0x0fffffffu;
    if (operand >> 28 == 0) return registers[number * stride];
    if (operand >> 28 == 1) return code.constants[number];
    u64 at = row + code.loads[number].rotation;
    return code.loads[number].values[at < rows ? at : at - rows];
}

DEVICE Element run_row(const Code& code, Element* registers, u64 stride, u64 row, u64 rows) {
    for (u32 index = 0; index < code.count; index++) {
        Step step = code.steps[index];
        Element a = operand_at(code, registers, stride, step.a, row, rows);
        Element b = operand_at(code, registers, stride, step.b, row, rows);
        Element value;
        if (step.operation == 0)
            value = add<Scalar>(a, b);
        else if (step.operation == 1)
            value = sub<Scalar>(a, b);
        else
            value = mul<Scalar>(a, b);
        registers[step.target * stride] = value;
    }
    return operand_at(code, registers, stride, code.output, row, rows);
}

// Programs of at most 16 registers, which the compiler keeps in the thread's own memory.
KERNEL(128) void run_few(Element* out, u64 rows, Code code) {
    Element registers[16];
    u64 row = thread_number();
    if (row < rows) out[row] = run_row(code, registers, 1, row, rows);
}

// Programs of any number of registers, which lie in `scratch`: one for each thread of the grid, register by register.
KERNEL(128) void run_many(Element* out, u64 rows, Code code, Element* scratch) {
    for (u64 row = thread_number(); row < rows; row += thread_count())
        out[row] = run_row(code, scratch + thread_number(), thread_count(), row, rows);
}
