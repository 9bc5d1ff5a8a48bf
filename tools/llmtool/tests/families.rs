//! Checks that the table of families in `docs/models.md` matches the engine's descriptions.

use llm_core::transformer::{
    Activation, FAMILIES, Family, Gate, HeadNorm, NormKind, NormPlaces, PositionKind, Residual,
    Varies,
};

const HEAD: &str = "\
| family | norms | of queries and keys | feed-forward layer | positions | scaling of RoPE | window | besides |
|---|---|---|---|---|---|---|---|
";

fn row(family: &Family) -> String {
    let block = family.block;
    let kind = match block.norm {
        NormKind::Rms => "RMSNorm",
        NormKind::Layer => "LayerNorm",
    };
    let places = match block.places {
        NormPlaces::Before => "before",
        NormPlaces::Around => "before and after",
        NormPlaces::After => "after",
    };
    let heads = match (block.heads, family.varies) {
        (_, Varies::ByTensors) => "each head, if the file has them",
        (HeadNorm::None, _) => "none",
        (HeadNorm::PerHead | HeadNorm::EachHead, _) => "each head",
        (HeadNorm::Whole, _) => "all heads together",
    };
    let inner = match (block.activation, block.gate) {
        (Activation::Silu, Gate::Own) => "SwiGLU",
        (Activation::Silu, Gate::InUp) => "SwiGLU, gate in `ffn_up`",
        (Activation::Silu, Gate::None) => "SiLU",
        (Activation::Gelu, Gate::Own) => "GeGLU",
        (Activation::Gelu, Gate::InUp) => "GeGLU, gate in `ffn_up`",
        (Activation::Gelu, Gate::None) => "GELU",
    };
    let order = match (block.residual, family.varies) {
        (_, Varies::ResidualByKey) => ", parallel by key",
        (_, Varies::ByTensors) => ", parallel without `ffn_norm`",
        (Residual::Sequential, Varies::No) => "",
        (Residual::Parallel | Residual::Shared, Varies::No) => ", parallel",
    };
    let (positions, scaling) = match family.positions {
        PositionKind::Learned => ("learned".to_string(), String::new()),
        PositionKind::Rotated {
            halves,
            except_each,
            methods,
            ..
        } => {
            let pairs = if halves { "halves" } else { "neighbours" };
            let except = except_each.map_or(String::new(), |n| {
                format!(", not in blocks {n}, {}, …", 2 * n)
            });
            let methods: Vec<_> = methods.iter().filter(|method| **method != "none").collect();
            let methods: Vec<_> = methods.iter().map(|method| format!("`{method}`")).collect();
            (format!("RoPE, {pairs}{except}"), methods.join(", "))
        }
    };
    let window = family.window.map_or(String::new(), |window| {
        let base = window
            .base
            .map_or(String::new(), |base| format!("; base {base} with it"));
        let len = window
            .len
            .map_or("by key".to_string(), |len| len.to_string());
        let n = window.period;
        format!("{len}; none in blocks {n}, {}, …{base}", 2 * n)
    });
    let mut besides = Vec::new();
    if family.embedding_by_width {
        besides.push("embedding · √d".to_string());
    }
    if let [Some(scores), Some(logits)] = family.caps {
        besides.push(format!("caps of scores {scores} and logits {logits}"));
    }
    for key in family.required {
        besides.push(format!("needs `{key}`"));
    }
    let besides = besides.join(", ");
    let name = family.name;
    format!(
        "| `{name}` | {kind} {places} | {heads} | {inner}{order} | {positions} | {scaling} | {window} | {besides} |\n"
    )
}

#[test]
fn the_table_of_families_is_what_the_engine_has() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/models.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let table: String = FAMILIES.iter().map(row).collect();
    let table = format!("{HEAD}{table}");
    assert!(
        page.contains(&table),
        "docs/models.md should have this table:\n\n{table}"
    );
}
