//! Layers and gadgets: integer networks to PLONKish circuits.
