//! Rounds 6 to 8: SHPLONK over the items, grouped by their points, and the correction of hiding.

use ark_bn254::Fr;
use ark_ec::CurveGroup;
use ark_ff::{One, Zero};
use zkloom_backends::Backend;
use zkloom_verifier::openings::{Item, interpolate, vanishing, weights};
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::evaluations::OpeningChallenge;
use zkloom_verifier::rounds::opening::{OpeningMessage, absorb_first};
use zkloom_verifier::{Transcript, VerifyError};

use crate::device::{Committed, Polynomials, Prover};
use crate::error::ProveError;
use crate::prove::{Conduct, Scene};
use crate::randomness::Blinding;

/// Items with their powers of nu.
type Members<'i> = Vec<(Fr, &'i Item)>;

/// The first item's combination, which its value needed before the items were opened.
pub(crate) struct Half<S> {
    pub(crate) terms: Vec<(Fr, PolynomialId)>,
    pub(crate) combined: Committed<S>,
}

/// Items that are opened at the same points, combined with their powers of nu.
struct Group<S> {
    points: Vec<Fr>,
    combined: Committed<S>,
    /// Coefficients of the combination of the items' interpolations.
    interpolation: Vec<Fr>,
}

impl<B: Backend> Prover<'_, B> {
    /// Runs the rounds.
    pub(crate) fn open(
        &self,
        items: &[Item],
        (all, nu, half): (&[Fr], OpeningChallenge, Option<Half<B::Scalars>>),
        (random, polynomials): (&mut Blinding, &Polynomials<B::Scalars>),
        transcript: &mut impl Transcript,
        conduct: &mut impl Conduct<B>,
    ) -> Result<OpeningMessage, ProveError> {
        let groups = self.group(items, (nu, half), polynomials)?;
        let mut quotients = Vec::with_capacity(groups.len());
        for group in &groups {
            let negated: Vec<Fr> = group.interpolation.iter().map(|c| -*c).collect();
            let low = self.backend.upload(&negated)?;
            let mut quotient =
                self.backend.combine(&[(Fr::one(), &group.combined.coefficients), (Fr::one(), &low)])?;
            for point in &group.points {
                quotient = self.backend.divide_by_linear(&quotient, *point)?;
            }
            quotients.push(quotient);
        }
        let terms: Vec<_> = quotients.iter().map(|quotient| (Fr::one(), quotient)).collect();
        let mut first = self.backend.combine(&terms)?;
        drop(quotients);
        conduct.opening(&Scene { prover: self, polynomials }, (items, all), nu, &mut first);
        let first_hiding = random.scalar();
        let first_point = self.commit(&[(&first, first_hiding)])?.first().copied().unwrap_or_default();
        let u = absorb_first(&first_point, transcript).0;

        // L, the polynomial behind F_nu, vanishes at u'.
        let own = |group: &Group<B::Scalars>| {
            vanishing(all.iter().copied().filter(|p| !group.points.contains(p)), u)
        };
        let (mut terms, mut hiding) = (Vec::new(), Fr::zero());
        for group in &groups {
            let weight = own(group);
            hiding += weight * group.combined.hiding;
            terms.push((weight, &group.combined.coefficients));
        }
        let vanishing_all = vanishing(all.iter().copied(), u);
        hiding -= vanishing_all * first_hiding;
        terms.push((-vanishing_all, &first));
        let constant: Fr = items
            .iter()
            .zip(weights(items, all, nu.0, u))
            .map(|(item, weight)| Ok::<_, VerifyError>(weight * interpolate(&item.openings, u)?))
            .sum::<Result<Fr, _>>()
            .map_err(ProveError::Degenerate)?;
        let constant = self.backend.upload(&[-constant])?;
        terms.push((Fr::one(), &constant));
        let combined = self.backend.combine(&terms)?;
        let quotient = self.backend.divide_by_linear(&combined, u)?;
        let second_hiding = random.scalar();
        let second = self.commit(&[(&quotient, second_hiding)])?.first().copied().unwrap_or_default();
        let pin = self.srs.pin();
        let delta = pin.one_g1 * (hiding + u * second_hiding) - pin.tau_g1 * second_hiding;
        Ok(OpeningMessage { first: first_point, second, delta: delta.into_affine() })
    }

    fn group(
        &self,
        items: &[Item],
        (nu, half): (OpeningChallenge, Option<Half<B::Scalars>>),
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<Vec<Group<B::Scalars>>, ProveError> {
        let mut sets: Vec<(Vec<Fr>, Members<'_>)> = Vec::new();
        let mut power = Fr::one();
        for item in items {
            let points: Vec<Fr> = item.openings.iter().map(|(point, _)| *point).collect();
            match sets.iter_mut().find(|(known, _)| *known == points) {
                Some((_, members)) => members.push((power, item)),
                None => sets.push((points, vec![(power, item)])),
            }
            power *= nu.0;
        }
        let mut groups = Vec::with_capacity(sets.len());
        for (points, members) in sets {
            let terms: Vec<_> = members
                .iter()
                .flat_map(|(power, item)| item.terms.iter().map(|(scalar, id)| (*power * scalar, *id)))
                .collect();
            let values: Vec<Fr> = (0..points.len())
                .map(|index| {
                    let value =
                        |item: &Item| item.openings.get(index).map_or_else(Fr::zero, |(_, value)| *value);
                    members.iter().map(|(power, item)| *power * value(item)).sum()
                })
                .collect();
            let combined = match (&half, members.split_first()) {
                (Some(half), Some(((power, first), others)))
                    if power.is_one() && first.terms == half.terms =>
                {
                    let rest: Vec<_> = others
                        .iter()
                        .flat_map(|(power, item)| {
                            item.terms.iter().map(|(scalar, id)| (*power * scalar, *id))
                        })
                        .collect();
                    self.combine_with(polynomials, &[(Fr::one(), &half.combined)], &rest)?
                }
                _ => self.combine(polynomials, &terms)?,
            };
            let interpolation = newton(&points, &values).map_err(ProveError::Degenerate)?;
            groups.push(Group { points, combined, interpolation });
        }
        Ok(groups)
    }
}

/// Coefficients of the polynomial through points and values, by adding one point at a time.
fn newton(points: &[Fr], values: &[Fr]) -> Result<Vec<Fr>, VerifyError> {
    use ark_ff::Field;
    let evaluate = |polynomial: &[Fr], x: Fr| polynomial.iter().rev().fold(Fr::zero(), |sum, c| sum * x + c);
    let (mut polynomial, mut basis) = (Vec::<Fr>::new(), vec![Fr::one()]);
    for (point, value) in points.iter().zip(values) {
        let scale = evaluate(&basis, *point).inverse();
        let scale = scale.ok_or(VerifyError::Degenerate { what: "two opening points coincide" })?;
        let factor = (*value - evaluate(&polynomial, *point)) * scale;
        polynomial.resize(basis.len(), Fr::zero());
        for (slot, term) in polynomial.iter_mut().zip(&basis) {
            *slot += factor * term;
        }
        let mut next = vec![Fr::zero(); basis.len() + 1];
        for (power, term) in basis.iter().enumerate() {
            next[power + 1] += term;
            next[power] -= *term * point;
        }
        basis = next;
    }
    Ok(polynomial)
}
