//! Field arithmetic as WGSL text, written out limb by limb.
//!
//! An element is eight 32-bit limbs in Montgomery form with the radix 2^256, which is what `ark-ff` keeps in memory on a
//! little-endian host, so that a transfer is a copy. Values are always reduced. Nothing is a loop over limbs: shader compilers put
//! arrays that are indexed by variables into memory.

use core::fmt::Write;

use ark_bn254::{FqConfig, FrConfig};
use ark_ff::{BigInt, MontConfig, One, PrimeField};

/// How a shader multiplies two 32-bit integers to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// With `u64`, which the device must have.
    Wide,
    /// With four products of 16 bits each; every device can do that.
    Narrow,
}

/// The two fields of BN254.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The scalar field; its functions begin with `fr_`.
    Scalar,
    /// The base field; its functions begin with `fq_`.
    Base,
}

/// What the text of a field depends on.
struct Constants {
    prefix: &'static str,
    modulus: [u32; 8],
    one: [u32; 8],
    /// 2^512 modulo the modulus: the factor that brings an integer into Montgomery form.
    square: [u32; 8],
    /// The exponent of Fermat's inverse.
    exponent: [u32; 8],
    /// Minus the modulus' inverse, modulo 2^32.
    inverse: u32,
}

fn limbs(integer: BigInt<4>) -> [u32; 8] {
    core::array::from_fn(|index| (integer.0[index / 2] >> (32 * (index % 2))) as u32)
}

fn constants<C: MontConfig<4>>(prefix: &'static str) -> Constants
where
    ark_ff::Fp<ark_ff::MontBackend<C, 4>, 4>: PrimeField<BigInt = BigInt<4>>,
{
    let mut exponent = C::MODULUS;
    exponent.0[0] -= 2;
    let one = ark_ff::Fp::<ark_ff::MontBackend<C, 4>, 4>::one().0;
    Constants {
        prefix,
        modulus: limbs(C::MODULUS),
        one: limbs(one),
        square: limbs(C::R2),
        exponent: limbs(exponent),
        inverse: C::INV as u32,
    }
}

/// A literal of the shader's `Element`.
fn literal(limbs: [u32; 8]) -> String {
    let [a, b, c, d, e, f, g, h] = limbs;
    format!(
        "Element(vec4<u32>({a:#x}u, {b:#x}u, {c:#x}u, {d:#x}u), vec4<u32>({e:#x}u, {f:#x}u, {g:#x}u, {h:#x}u))"
    )
}

/// The expression for a limb of an `Element` variable.
fn limb(name: &str, index: usize) -> String {
    let half = if index < 4 { "low" } else { "high" };
    let letter = ["x", "y", "z", "w"][index % 4];
    format!("{name}.{half}.{letter}")
}

/// Lines of a function's body.
struct Body(String);

impl Body {
    fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str("    ");
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    /// Returns the element in `t0 .. t7` less the modulus, if it is not below it.
    fn return_reduced(&mut self, field: &Constants) {
        self.line("var borrow = 0u; var below = 0u;");
        for (index, word) in field.modulus.iter().enumerate() {
            self.line(format!("let d{index} = t{index} - {word:#x}u; let s{index} = d{index} - borrow;"));
            self.line(format!(
                "borrow = select(0u, 1u, t{index} < {word:#x}u) | select(0u, 1u, d{index} < borrow);"
            ));
        }
        self.line("below = borrow;");
        let four = |letter: char, from: usize| {
            let names: Vec<String> = (from..from + 4).map(|index| format!("{letter}{index}")).collect();
            format!("vec4<u32>({})", names.join(", "))
        };
        for (name, from) in [("low", 0), ("high", 4)] {
            let (reduced, kept) = (four('s', from), four('t', from));
            self.line(format!("let {name} = select({reduced}, {kept}, below != 0u);"));
        }
        self.line("return Element(low, high);");
    }

    /// `target, carry = target_in + a * b + carry`.
    fn multiply_add(&mut self, arithmetic: Arithmetic, names: [&str; 4], first: bool) {
        let [target, source, a, b] = names;
        match (arithmetic, first) {
            (Arithmetic::Wide, true) => {
                self.line(format!("q = u64({a}) * u64({b}) + u64({source}); {target} = u32(q);"));
            }
            (Arithmetic::Wide, false) => {
                self.line(format!(
                    "q = u64({a}) * u64({b}) + u64({source}) + (q >> 32u); {target} = u32(q);"
                ));
            }
            (Arithmetic::Narrow, true) => {
                self.line(format!("q = multiply_add({source}, {a}, {b}, 0u); {target} = q.x;"));
            }
            (Arithmetic::Narrow, false) => {
                self.line(format!("q = multiply_add({source}, {a}, {b}, q.y); {target} = q.x;"));
            }
        }
    }
}

/// The high half of the last product.
fn carry(arithmetic: Arithmetic) -> &'static str {
    match arithmetic {
        Arithmetic::Wide => "u32(q >> 32u)",
        Arithmetic::Narrow => "q.y",
    }
}

/// `a + b`, reduced.
fn add(field: &Constants) -> String {
    let mut body = Body(format!("fn {}_add(a: Element, b: Element) -> Element {{\n", field.prefix));
    body.line("var carry = 0u;");
    for index in 0..8 {
        let (a, b) = (limb("a", index), limb("b", index));
        body.line(format!("let p{index} = {a} + {b}; let t{index} = p{index} + carry;"));
        body.line(format!("carry = select(0u, 1u, p{index} < {a}) | select(0u, 1u, t{index} < p{index});"));
    }
    body.return_reduced(field);
    body.0 + "}\n"
}

/// `a - b`, with the modulus added where that is negative.
fn subtract(field: &Constants) -> String {
    let mut body = Body(format!("fn {}_sub(a: Element, b: Element) -> Element {{\n", field.prefix));
    body.line("var borrow = 0u;");
    for index in 0..8 {
        let (a, b) = (limb("a", index), limb("b", index));
        body.line(format!("let d{index} = {a} - {b}; let s{index} = d{index} - borrow;"));
        body.line(format!("borrow = select(0u, 1u, {a} < {b}) | select(0u, 1u, d{index} < borrow);"));
    }
    body.line("let mask = 0u - borrow; var carry = 0u;");
    for (index, word) in field.modulus.iter().enumerate() {
        body.line(format!("let p{index} = s{index} + ({word:#x}u & mask); let r{index} = p{index} + carry;"));
        body.line(format!(
            "carry = select(0u, 1u, p{index} < s{index}) | select(0u, 1u, r{index} < p{index});"
        ));
    }
    body.line("return Element(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7));");
    body.0 + "}\n"
}

/// Montgomery's product, one limb of `b` after the other. The first factor is reduced, the second may be any eight
/// limbs. The modulus leaves the top bits free, so that eight limbs and a carry hold every intermediate sum.
///
/// The limbs of `b` are a loop: written out, the product would be eight times as long, and drivers put a copy of it wherever it is
/// used, which makes compilation of point additions take minutes.
fn multiply(field: &Constants, arithmetic: Arithmetic) -> String {
    let mut body = Body(format!("fn {}_mul(a: Element, b: Element) -> Element {{\n", field.prefix));
    body.line("var t0 = 0u; var t1 = 0u; var t2 = 0u; var t3 = 0u;");
    body.line("var t4 = 0u; var t5 = 0u; var t6 = 0u; var t7 = 0u;");
    body.line("var t8: u32; var m: u32; var unused: u32;");
    body.line(match arithmetic {
        Arithmetic::Wide => "var q: u64;",
        Arithmetic::Narrow => "var q: vec2<u32>;",
    });
    body.line("for (var row = 0u; row < 8u; row += 1u) {");
    body.line("let word = select(b.high[row & 3u], b.low[row & 3u], row < 4u);");
    for index in 0..8 {
        let name = format!("t{index}");
        body.multiply_add(arithmetic, [&name, &name, &limb("a", index), "word"], index == 0);
    }
    body.line(format!("t8 = {};", carry(arithmetic)));
    body.line(format!("m = t0 * {:#x}u;", field.inverse));
    for (index, word) in field.modulus.iter().enumerate() {
        let target = if index == 0 { "unused".to_string() } else { format!("t{}", index - 1) };
        let names = [&target, &format!("t{index}"), "m", &format!("{word:#x}u")];
        body.multiply_add(arithmetic, names, index == 0);
    }
    body.line(format!("t7 = t8 + {};", carry(arithmetic)));
    body.line("}");
    body.return_reduced(field);
    body.0 + "}\n"
}

/// A field's constants and functions.
pub(super) fn functions(field: Field, arithmetic: Arithmetic) -> String {
    let field = match field {
        Field::Scalar => constants::<FrConfig>("fr"),
        Field::Base => constants::<FqConfig>("fq"),
    };
    let mut text = String::new();
    let upper = field.prefix.to_uppercase();
    for (name, value) in [("ONE", field.one), ("SQUARE", field.square), ("EXPONENT", field.exponent)] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "const {upper}_{name} = {};", literal(value));
    }
    text + &add(&field) + &subtract(&field) + &multiply(&field, arithmetic)
}
