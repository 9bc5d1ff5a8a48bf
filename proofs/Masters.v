(** * Devices that master the bus

    Responsible for: a system in which a device reads and writes ordinary memory by itself. The capability
    distribution does not say where: no address space of a domain stands between such a device and memory. So it is
    said here, as a table ([masters]), and whoever states a theorem about such a system states the table with it.

    THE ASSUMPTION that a table stands for is about the program that drives the device: it gives the device no address
    outside the regions of the table. With an IOMMU (on ARM an SMMU) that translates for the device, the hardware would
    keep it to them whatever that program does. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Microkit.
Import ListNotations.
Local Open Scope N_scope.
Local Open Scope list_scope.

(** A device, by the region of its registers, and a region of memory that it reads and writes. *)
Definition masters := list (string * string).

Definition reached (m : masters) (r : string) : list (region * rights) :=
  flat_map (fun '(r', at_) => if same_name r r' then [(Shared at_, read_write)] else []) m.

Definition with_reach (m : masters) (x : subject * list (region * rights)) : subject * list (region * rights) :=
  match x with
  | (Device r, l) => (Device r, l ++ reached m r)
  | _ => x
  end.

(** The system in which the devices reach what the table says, besides their registers. *)
Definition mastering (m : masters) (S : system) : system := {|
  capabilities := {|
    cnodes := cnodes (capabilities S);
    vspaces := map (with_reach m) (vspaces (capabilities S));
    threads := threads (capabilities S);
    owner_first := owner_first (capabilities S);
  |};
  attachments := attachments S;
  initial_irqs := initial_irqs S;
|}.

(** With nothing in the table, it is the system itself. *)
Theorem mastering_nothing : forall S, mastering [] S = S.
Proof.
  intros [[c v t o] a i]. unfold mastering. simpl. do 2 f_equal.
  induction v as [| [s l] v IH]; [reflexivity |]. simpl. rewrite IH. destruct s; simpl; rewrite ?app_nil_r; reflexivity.
Qed.

(** ** Boot, of any system: [boot] is this for one that Microkit makes. *)
Definition booted_with (S : system) (memory : region -> N -> N) (initial : subject -> list N) : state := {|
  cfg := capabilities S;
  attached := attachments S;
  thr := fun s => {| registers := initial s; run := Running |};
  mem := memory;
  pending := fun _ => 0;
  queue := fun _ => [];
  awaits := fun _ => None;
  irqs := fun i => {| signals := find_key N.eq_dec i (initial_irqs S); masked := false |};
|}.

Theorem booted_with_is_sound : forall S memory initial, sound S (booted_with S memory initial).
Proof.
  intros S memory initial. constructor; simpl; try reflexivity; try discriminate; try contradiction.
  intros i n b H. apply find_key_in in H. unfold may_signal. apply in_or_app. left.
  apply in_flat_map. exists (i, (n, b)). split; [exact H |]. rewrite N.eqb_refl. left. reflexivity.
Qed.
