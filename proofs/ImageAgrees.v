(** * The model's distribution is the one that the Microkit tool emitted

    Responsible for: one check by computation, that the capability slots of a built image ([Image.v],
    from its capDL) are exactly those that [Microkit.v] computes from the description. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Microkit Apply.
From SeL4LLM Require Instance Image.
Import ListNotations.

Definition rights_eq : forall a b : rights, {a = b} + {a <> b}.
Proof. decide equality; apply bool_dec. Defined.

Definition capability_eq : forall a b : capability, {a = b} + {a <> b}.
Proof.
  decide equality; solve [apply subject_eq | apply region_eq | apply cnode_eq | apply rights_eq | apply N.eq_dec].
Defined.

Definition slot_eq : forall a b : extra_capability, {a = b} + {a <> b}.
Proof. decide equality; solve [apply cnode_eq | apply N.eq_dec | apply capability_eq]. Defined.

Definition model_slots : list extra_capability :=
  flat_map (fun '(id, l) => map (fun '(i, c) => {| extra_cnode := id; extra_slot := i; extra_cap := c |}) l)
    (cnodes G).

Definition missing (a b : list extra_capability) : list extra_capability :=
  filter (fun x => negb (existsb (fun y => if slot_eq x y then true else false) b)) a.

Theorem the_image_has_nothing_more : missing Image.image model_slots = [].
Proof. now_computed. Qed.

Theorem the_image_has_nothing_less : missing model_slots Image.image = [].
Proof. now_computed. Qed.

Theorem no_slot_twice : List.length Image.image = List.length model_slots.
Proof. now_computed. Qed.
