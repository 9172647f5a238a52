//! Things to submit.

use serde_json::{Value, json};

/// A small Python module with documentation, different for each number.
pub fn python(number: usize) -> Value {
    let code = format!(
        "\"\"\"Sums of series, number {number}.\"\"\"\n\n\n\
         def total(values):\n    \"\"\"Adds up what is above {number}.\"\"\"\n    result = 0\n    for value in values:\n        \
         if value > {number}:\n            result += value\n    return result\n\n\n\
         def mean(values):\n    return total(values) / len(values)\n"
    );
    let documentation =
        format!("# Sums {number}\n\nHow to use it:\n\n```python\ntotal([1, 2, {number}])\n```\n");
    json!({ "language": "python", "files": [{ "path": "sums.py", "text": code }], "documentation": documentation })
}
