//! Neural networks as integer graphs: ONNX import, quantisation, interpreter.
