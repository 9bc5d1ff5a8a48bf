(** * How claims about one system are computed

    Responsible for: what [Apply.v], [Disk.v] and [Cores.v] have in common, and no claim: comparison of lists in a form that
    shows what is wrong, and who the writers and readers of a part are. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph.
Import ListNotations.
Local Open Scope list_scope.

Ltac now_computed := vm_compute; reflexivity.

Lemma filter_nil : forall A (f : A -> bool) l, filter f l = [] -> forall x, In x l -> f x = false.
Proof.
  intros A f l H x I. destruct (f x) eqn:E; [| reflexivity]. exfalso.
  assert (F : In x (filter f l)) by (apply filter_In; split; assumption). rewrite H in F. exact F.
Qed.

Lemma none_left : forall A (f : A -> bool) l, filter (fun x => negb (f x)) l = [] -> forall x, In x l -> f x = true.
Proof. intros A f l H x I. apply negb_false_iff. exact (filter_nil A (fun x => negb (f x)) l H x I). Qed.

(** The same of pairs. [none_left] is no substitute: there the [match] stands inside of [negb], here outside, and the two
    are convertible for no variable, so that Coq would compute both lists to compare them, lazily, without an end. *)
Lemma no_pair_left : forall A B (f : A -> B -> bool) l, filter (fun '(a, b) => negb (f a b)) l = [] ->
  forall a b, In (a, b) l -> f a b = true.
Proof.
  intros A B f l H a b I. apply negb_false_iff. exact (filter_nil _ (fun '(a, b) => negb (f a b)) l H (a, b) I).
Qed.

(** *** Comparison without regard to order

    What is beyond what is stated, and what is stated and is not so: both lists are shown when a claim
    fails. *)
Definition without_all {A} (eq : forall a b : A, {a = b} + {a <> b}) (a b : list A) : list A :=
  filter (fun x => negb (existsb (fun y => if eq x y then true else false) b)) a.

Definition differ {A} (eq : forall a b : A, {a = b} + {a <> b}) (actual stated : list A) : list A * list A :=
  (without_all eq actual stated, without_all eq stated actual).

Definition pair_dec {A B} (ea : forall a b : A, {a = b} + {a <> b}) (eb : forall a b : B, {a = b} + {a <> b}) :
  forall a b : A * B, {a = b} + {a <> b}.
Proof. decide equality. Defined.

Definition subject_pair_eq := pair_dec subject_eq subject_eq.
Definition string_pair_eq := pair_dec string_dec string_dec.

(** All pairs of two. *)
Definition pairs_of {A} (eq : forall a b : A, {a = b} + {a <> b}) (l : list A) : list (A * A) :=
  filter (fun '(a, b) => if eq a b then false else true) (list_prod l l).

(** ** Who writes and reads a part *)

Definition writers_in (S : system) (p : part) : list subject :=
  filter (fun s => existsb (fun q => if part_eq p q then true else false) (alters S s)) (subjects (capabilities S)).

Definition readers_in (S : system) (p : part) : list subject :=
  filter (fun s => existsb (fun q => if part_eq p q then true else false) (observes S s)) (subjects (capabilities S)).

(** Who they are. A claim lists the parts for which it is not as stated. *)
Definition wrong (actual : part -> list subject) (stated : list (part * list subject)) :
  list (part * (list subject * list subject)) :=
  flat_map (fun '(p, l) => match differ subject_eq (actual p) l with ([], []) => [] | d => [(p, d)] end) stated.

Lemma as_stated : forall actual p l, wrong actual [(p, l)] = [] -> incl (actual p) l.
Proof.
  intros actual p l H s I. unfold wrong, differ in H. simpl in H.
  destruct (without_all subject_eq (actual p) l) eqn:E;
    [| destruct (without_all subject_eq l (actual p)); discriminate H].
  pose proof (filter_nil _ _ _ E s I) as F. simpl in F. apply negb_false_iff in F.
  apply existsb_exists in F. destruct F as (y & Y & F). destruct (subject_eq s y); [congruence | discriminate F].
Qed.
