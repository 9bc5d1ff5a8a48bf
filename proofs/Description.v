(** * The system description: what [Instance.v] is an instance of

    This file has the vocabulary of [Instance.v] and nothing else: the parts of a Microkit system
    description ([system.xml]) that carry authority, as plain data. [tools/isolation] writes an
    instance; [INSTANCE-FORMAT.md] says how. What the Microkit tool makes of a description, the
    capability distribution, is computed from it in [Microkit.v]. *)

From Coq Require Import List NArith String.
Import ListNotations.

(** ** Names *)

(** Whoever can act, and whatever is named after who owns it (TCB, VSpace, notification, endpoint,
    reply object). *)
Inductive subject :=
  | Pd (name : string)       (* a protection domain *)
  | Monitor                  (* Microkit's monitor *)
  | Device (region : string) (* the device behind a region with a physical address *)
  | Line (irq : N).          (* an interrupt line that belongs to no such device *)

Inductive region :=
  | Shared (name : string)   (* a memory region of the description *)
  | Private (owner : subject). (* a domain's program image, stack and IPC buffer *)

Inductive cnode :=
  | Root (owner : subject)   (* what the TCB's CSpace slot holds *)
  | Inner (owner : subject). (* Microkit's CNode, in slot 0 of the root *)

Record rights := { may_read : bool; may_write : bool; may_grant : bool }.

(** ** Capabilities

    An endpoint's [may_grant] stands for Grant and GrantReply. *)
Inductive capability :=
  | CNotification (object : subject) (badge : N) (r : rights)
  | CEndpoint (object : subject) (badge : N) (r : rights)
  | CReply (object : subject)
  | CTcb (object : subject)
  | CVSpace (object : subject)
  | CFrame (object : region) (r : rights)
  | CIrqHandler (irq : N)
  | CCNode (object : cnode) (guard_bits guard radix : N)
  | CSchedContext (object : subject)
  | CUntyped
  | CIrqControl
  | CAsidControl
  | CAsidPool
  | CSchedControl
  | CSmc.

(** ** The description *)

Record memory_region := {
  region_name : string;
  region_size : N;            (* bytes *)
  region_phys : option N;     (* device registers lie here; [None] for ordinary memory *)
  region_prefilled : bool;    (* the initialiser fills it from a file *)
}.

Record mapping := {
  map_region : string;
  map_read : bool;
  map_write : bool;
  map_execute : bool;
}.

Record interrupt := {
  irq_number : N;             (* at the interrupt controller *)
  irq_id : N;                 (* in the domain: badge bit and capability slot *)
}.

Record protection_domain := {
  pd_name : string;
  pd_parent : option (string * N); (* parent's name, number of the child there *)
  pd_priority : N;
  pd_budget : N;              (* microseconds *)
  pd_period : N;              (* microseconds *)
  pd_cpu : N;                 (* the core that it runs on *)
  pd_maps : list mapping;
  pd_irqs : list interrupt;
}.

Record channel_end := {
  end_pd : string;
  end_id : N;
  end_notify : bool;          (* this end may signal the other *)
  end_pp : bool;              (* this end may call the other: a protected procedure *)
}.

Record channel := { end_a : channel_end; end_b : channel_end }.

(** A capability beyond what Microkit gives to every system of this shape. *)
Record extra_capability := {
  extra_cnode : cnode;
  extra_slot : N;
  extra_cap : capability;
}.

Record description := {
  regions : list memory_region;
  domains : list protection_domain; (* in the order of the file; a child follows its parent *)
  channels : list channel;
  extras : list extra_capability;   (* [<cspace>] and the like; empty for sel4-llm *)
}.
