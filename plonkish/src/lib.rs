//! Backend-neutral description of PLONKish circuits with linear claims, and a mock checker.
