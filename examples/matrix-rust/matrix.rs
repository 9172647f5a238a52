//! Matrices of fixed size, stored row by row.

use std::fmt;
use std::ops::Mul;

/// A matrix of `R` rows and `C` columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix<const R: usize, const C: usize> {
    cells: [[f64; C]; R],
}

impl<const R: usize, const C: usize> Matrix<R, C> {
    /// A matrix with these rows.
    pub fn new(cells: [[f64; C]; R]) -> Self {
        Matrix { cells }
    }

    /// Rows become columns.
    pub fn transposed(&self) -> Matrix<C, R> {
        let mut cells = [[0.0; R]; C];
        for (r, row) in self.cells.iter().enumerate() {
            for (c, cell) in row.iter().enumerate() {
                cells[c][r] = *cell;
            }
        }
        Matrix { cells }
    }
}

impl<const N: usize> Matrix<N, N> {
    /// The matrix that changes nothing it is multiplied with.
    pub fn identity() -> Self {
        let mut cells = [[0.0; N]; N];
        for (i, row) in cells.iter_mut().enumerate() {
            row[i] = 1.0;
        }
        Matrix { cells }
    }

    /// The matrix multiplied with itself `exponent` times, by repeated squaring.
    pub fn power(self, mut exponent: u32) -> Self {
        let mut result = Matrix::identity();
        let mut square = self;
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result * square;
            }
            square = square * square;
            exponent /= 2;
        }
        result
    }
}

impl<const R: usize, const K: usize, const C: usize> Mul<Matrix<K, C>> for Matrix<R, K> {
    type Output = Matrix<R, C>;

    fn mul(self, other: Matrix<K, C>) -> Matrix<R, C> {
        let columns = other.transposed();
        let dot = |row: &[f64; K], column: &[f64; K]| row.iter().zip(column).map(|(a, b)| a * b).sum();
        Matrix { cells: std::array::from_fn(|r| std::array::from_fn(|c| dot(&self.cells[r], &columns.cells[c]))) }
    }
}

impl<const R: usize, const C: usize> fmt::Display for Matrix<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.cells {
            let cells: Vec<_> = row.iter().map(f64::to_string).collect();
            writeln!(f, "{}", cells.join(" "))?;
        }
        Ok(())
    }
}

fn main() {
    let step = Matrix::new([[1.0, 1.0], [1.0, 0.0]]);
    print!("{}", step.power(10));
}
