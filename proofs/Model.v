(** * The model: what seL4 lets a subject do, and nothing else

    Responsible for: the capability distribution ([config]), the state, and one step of one subject.
    The rule that makes the theorems worth something: a step looks up every capability that it uses in
    the distribution of the state it starts in, and the operations that create or move authority (CNode
    operations, Untyped, IRQ and ASID control, mapping of frames, SetSpace, capability transfer over
    endpoints and replies) are here with at least the power that seL4 gives them. That they never
    succeed in the systems of interest is a theorem ([Authority.v]), not a choice of this file.

    Sources: the seL4 reference manual 16.0.0 and, where it is silent, the kernel's C code at that
    version (MCS configuration, AArch64); the file and function are named at the place. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description.
Import ListNotations.
Local Open Scope N_scope.

(** ** Equality of names, decided *)

Definition subject_eq : forall a b : subject, {a = b} + {a <> b}.
Proof. decide equality; solve [apply string_dec | apply N.eq_dec]. Defined.

Definition region_eq : forall a b : region, {a = b} + {a <> b}.
Proof. decide equality; solve [apply string_dec | apply subject_eq]. Defined.

Definition cnode_eq : forall a b : cnode, {a = b} + {a <> b}.
Proof. decide equality; apply subject_eq. Defined.

(** [b] in the boolean sense, for conditions and checks. *)
Notation "a =s b" := (if subject_eq a b then true else false) (at level 70).

(** The first entry with a key. *)
Fixpoint find_key {K V} (eq : forall a b : K, {a = b} + {a <> b}) (k : K) (l : list (K * V)) : option V :=
  match l with
  | [] => None
  | (k', v) :: rest => if eq k k' then Some v else find_key eq k rest
  end.

(** A function but for one argument. *)
Definition but_for {K V} (eq : forall a b : K, {a = b} + {a <> b}) (f : K -> V) (k : K) (v : V) : K -> V :=
  fun x => if eq x k then v else f x.

(** ** The capability distribution *)

(** What is bound to a thread for good: its CSpace, its VSpace; for a device, the interrupt lines
    that it can raise. *)
Record binding := {
  cspace_root : option capability;
  vspace_root : option subject;
  raises : list N;
}.

(** What a holder of the thread's TCB capability can exchange: where its faults go, and which
    notification is bound to it. *)
Record attachment := {
  fault_handler : option capability;
  bound_notification : option subject;
}.

(** [owner_first] is no capability but what is known of the schedule: endpoints, named by their owner,
    where the owner is first in the queue of receivers whenever another thread runs, so that nobody
    else's receive ever takes a message there. It is empty but where a theorem says otherwise; the
    argument for the monitor's endpoint is in the README, section 5. *)
Record config := {
  cnodes : list (cnode * list (N * capability));
  vspaces : list (subject * list (region * rights));
  threads : list (subject * binding);
  owner_first : list subject;
}.

Definition slots (c : config) (id : cnode) : list (N * capability) :=
  match find_key cnode_eq id (cnodes c) with Some l => l | None => [] end.

Definition mappings_of (c : config) (v : subject) : list (region * rights) :=
  match find_key subject_eq v (vspaces c) with Some l => l | None => [] end.

(** Resolution of a capability address of [left] bits, as the kernel does it (src/kernel/cspace.c,
    resolveAddressBits): a CNode is passed through until no bits are left; a capability that is no
    CNode ends the walk early. So a CNode can be named only if the address ends at its slot. The fuel
    is no bound on real walks: each level takes at least one bit. *)
Fixpoint resolve (fuel : nat) (c : config) (at_cap : capability) (address left : N) : option capability :=
  match fuel, at_cap with
  | S fuel, CCNode id guard_bits guard radix =>
      if left <? guard_bits + radix then None
      else
        let rest := left - guard_bits - radix in
        if N.shiftr address (left - guard_bits) mod 2 ^ guard_bits =? guard then
          match find_key N.eq_dec (N.shiftr address rest mod 2 ^ radix) (slots c id) with
          | None => None
          | Some found =>
              if rest =? 0 then Some found
              else match found with
                   | CCNode _ _ _ _ => resolve fuel c found address rest
                   | _ => Some found
                   end
          end
        else None
  | _, _ => None
  end.

Definition word_bits : N := 64.
Definition depth : nat := 64.

(** The capability that a subject names by an address: all that a system call looks at. *)
Definition lookup (c : config) (s : subject) (address : N) : option capability :=
  match find_key subject_eq s (threads c) with
  | Some b => match cspace_root b with
              | Some root => resolve depth c root address word_bits
              | None => None
              end
  | None => None
  end.

(** The same, for a system call that wants a capability of one type. *)
Definition endpoint c s a : option (subject * N * rights) :=
  match lookup c s a with Some (CEndpoint e b r) => Some (e, b, r) | _ => None end.
Definition notification c s a : option (subject * N * rights) :=
  match lookup c s a with Some (CNotification n b r) => Some (n, b, r) | _ => None end.
Definition reply_object c s a : option subject :=
  match lookup c s a with Some (CReply o) => Some o | _ => None end.
Definition tcb c s a : option subject :=
  match lookup c s a with Some (CTcb t) => Some t | _ => None end.
Definition irq_handler c s a : option N :=
  match lookup c s a with Some (CIrqHandler i) => Some i | _ => None end.
Definition cnode_cap c s a : option (cnode * capability) :=
  match lookup c s a with Some (CCNode id g v r) => Some (id, CCNode id g v r) | _ => None end.
Definition vspace_cap c s a : option subject :=
  match lookup c s a with Some (CVSpace v) => Some v | _ => None end.
Definition frame_cap c s a : option (region * rights) :=
  match lookup c s a with Some (CFrame m r) => Some (m, r) | _ => None end.
Definition authority_source c s a : bool :=
  match lookup c s a with
  | Some (CUntyped | CIrqControl | CAsidControl | CAsidPool | CSchedControl | CSmc) => true
  | _ => false
  end.

Definition space (c : config) (s : subject) : list (region * rights) :=
  match find_key subject_eq s (threads c) with
  | Some b => match vspace_root b with Some v => mappings_of c v | None => [] end
  | None => []
  end.

Definition mapped (c : config) (s : subject) (m : region) (right : rights -> bool) : bool :=
  existsb (fun '(m', r) => (if region_eq m m' then true else false) && right r) (space c s).

Definition lines (c : config) (s : subject) : list N :=
  match find_key subject_eq s (threads c) with Some b => raises b | None => [] end.

(** Whether a receive by [s] may take a message from the endpoint of [e]. *)
Definition takes (c : config) (s e : subject) : bool :=
  (s =s e) || negb (existsb (fun x => e =s x) (owner_first c)).

(** ** The state *)

Inductive run_state :=
  | Running
  | Inactive                     (* suspended *)
  | SendBlocked (on : subject)   (* on the endpoint of [on] *)
  | ReplyBlocked (on : subject). (* on the reply object of [on] *)

(** A thread's registers are as many words as it likes. *)
Record thread := { registers : list N; run : run_state }.

Inductive kind := Nonblocking | Blocking | Call | Fault.

Record message := {
  sender : subject;
  how : kind;
  badge : N;
  words : list N;
  caps : list capability;  (* sent with Grant; at most the first is taken *)
}.

Record irq_state := { signals : option (subject * N); masked : bool }.

Record state := {
  cfg : config;
  attached : list (subject * attachment);
  thr : subject -> thread;
  mem : region -> N -> N;
  pending : subject -> N;            (* the word of each notification *)
  queue : subject -> list message;   (* of each endpoint *)
  awaits : subject -> option subject; (* whom each reply object would answer *)
  irqs : N -> irq_state;
}.

Definition attachment_of (l : list (subject * attachment)) (s : subject) : attachment :=
  match find_key subject_eq s l with
  | Some a => a
  | None => {| fault_handler := None; bound_notification := None |}
  end.

Definition bound (l : list (subject * attachment)) (s : subject) : option subject :=
  bound_notification (attachment_of l s).

Definition is_bound_to (n : subject) (a : attachment) : bool :=
  match bound_notification a with Some n' => n =s n' | None => false end.

(** A bound notification is received from by its thread alone (src/api/syscall.c, handleRecv):
    without this rule the read right that Microkit puts on channel capabilities would let shell take
    inference's signals to audit. *)
Definition may_poll (l : list (subject * attachment)) (s n : subject) : bool :=
  forallb (fun '(t, a) => negb (is_bound_to n a) || (t =s s)) l.

(** ** Operations

    Addresses of capabilities are numbers, looked up in the caller's CSpace. *)
Inductive op :=
  (* the processor *)
  | Compute (f : list N -> list N)          (* any function of its registers *)
  | Load (m : region) (at_ : N)
  | Store (m : region) (at_ value : N)
  | Crash (words : list N)                  (* any exception *)
  (* notifications *)
  | Signal (n : N)
  | Poll (n : N)
  (* endpoints; a receive slot is a CNode's address and an index in it *)
  | Send (e : N) (how : kind) (words caps : list N)
  | Receive (e reply : N) (slot : N * N)
  | Answer (reply : N) (f : list N -> list N) (caps : list N) (slot : N * N)
  (* TCBs *)
  | Suspend (t : N)
  | Resume (t : N)
  | WriteRegisters (t : N) (r : list N)
  | ReadRegisters (t : N)
  | CopyRegisters (from to : N)
  | SetFaultHandler (t e : N)
  | BindNotification (t n : N)
  | UnbindNotification (t : N)
  | SetSpace (t cspace vspace : N)
  (* interrupts *)
  | IrqAck (i : N)
  | IrqSet (i n : N)
  | IrqClear (i : N)
  | Raise (irq : N)                         (* by a device *)
  (* authority *)
  | CopyCap (from_cnode from_slot to_cnode to_slot : N)
  | DeleteCap (cnode slot : N)
  | Create (by_ : N) (into : cnode) (slot : N) (cap : capability)
  | MapFrame (frame vspace : N)
  | UnmapFrame (frame vspace : N).

(** What exchanges an attachment. Only a holder of a TCB capability can; what is assumed of such
    holders is in the theorems' hypotheses ([disciplined], [Authority.v]). *)
Definition reattaches (o : op) : bool :=
  match o with
  | SetFaultHandler _ _ | BindNotification _ _ | UnbindNotification _ => true
  | _ => false
  end.

(** ** Effects: the writes of a step, one part of the state each

    A step is computed as a list of these from what the subject reads, so that "reads" and "writes"
    are parts of the semantics and not annotations beside it. *)
Inductive effect :=
  | EditRegisters (t : subject) (f : list N -> list N)
  | SetRun (t : subject) (r : run_state)
  | Write (m : region) (at_ value : N)
  | AddSignal (n : subject) (badge : N)
  | TakeSignals (n : subject)
  | Enqueue (e : subject) (m : message)
  | Dequeue (e : subject)
  | Unqueue (e t : subject)
  | SetAwaits (o : subject) (t : option subject)
  | SetSignals (i : N) (n : option (subject * N))
  | SetMasked (i : N) (b : bool)
  | Attach (t : subject) (a : attachment)
  | InsertCap (id : cnode) (slot : N) (cap : capability)
  | RemoveCap (id : cnode) (slot : N)
  | AddMapping (v : subject) (m : region) (r : rights)
  | RemoveMapping (v : subject) (m : region)
  | SetRoots (t : subject) (b : binding).

Definition edit_key {K V} (eq : forall a b : K, {a = b} + {a <> b}) (k : K) (f : V -> V) (l : list (K * V)) :=
  map (fun '(k', v) => (k', if eq k k' then f v else v)) l.

Definition with_cfg (st : state) (c : config) : state :=
  {| cfg := c; attached := attached st; thr := thr st; mem := mem st; pending := pending st;
     queue := queue st; awaits := awaits st; irqs := irqs st |}.

Definition with_attached (st : state) a : state :=
  {| cfg := cfg st; attached := a; thr := thr st; mem := mem st; pending := pending st;
     queue := queue st; awaits := awaits st; irqs := irqs st |}.

Definition with_thr (st : state) (t : subject) (v : thread) : state :=
  {| cfg := cfg st; attached := attached st; thr := but_for subject_eq (thr st) t v; mem := mem st;
     pending := pending st; queue := queue st; awaits := awaits st; irqs := irqs st |}.

Definition with_mem (st : state) (m : region) (v : N -> N) : state :=
  {| cfg := cfg st; attached := attached st; thr := thr st; mem := but_for region_eq (mem st) m v;
     pending := pending st; queue := queue st; awaits := awaits st; irqs := irqs st |}.

Definition with_pending (st : state) (n : subject) (v : N) : state :=
  {| cfg := cfg st; attached := attached st; thr := thr st; mem := mem st;
     pending := but_for subject_eq (pending st) n v; queue := queue st; awaits := awaits st; irqs := irqs st |}.

Definition with_queue (st : state) (e : subject) (v : list message) : state :=
  {| cfg := cfg st; attached := attached st; thr := thr st; mem := mem st; pending := pending st;
     queue := but_for subject_eq (queue st) e v; awaits := awaits st; irqs := irqs st |}.

Definition with_awaits (st : state) (o : subject) (v : option subject) : state :=
  {| cfg := cfg st; attached := attached st; thr := thr st; mem := mem st; pending := pending st;
     queue := queue st; awaits := but_for subject_eq (awaits st) o v; irqs := irqs st |}.

Definition with_irq (st : state) (i : N) (v : irq_state) : state :=
  {| cfg := cfg st; attached := attached st; thr := thr st; mem := mem st; pending := pending st;
     queue := queue st; awaits := awaits st; irqs := but_for N.eq_dec (irqs st) i v |}.

Definition apply (st : state) (e : effect) : state :=
  match e with
  | EditRegisters t f =>
      with_thr st t {| registers := f (registers (thr st t)); run := run (thr st t) |}
  | SetRun t r => with_thr st t {| registers := registers (thr st t); run := r |}
  | Write m a v => with_mem st m (but_for N.eq_dec (mem st m) a v)
  | AddSignal n b => with_pending st n (N.lor (pending st n) b)
  | TakeSignals n => with_pending st n 0
  | Enqueue e m => with_queue st e (queue st e ++ [m])
  | Dequeue e => with_queue st e (tl (queue st e))
  | Unqueue e t => with_queue st e (filter (fun m => negb (sender m =s t)) (queue st e))
  | SetAwaits o t => with_awaits st o t
  | SetSignals i n => with_irq st i {| signals := n; masked := masked (irqs st i) |}
  | SetMasked i b => with_irq st i {| signals := signals (irqs st i); masked := b |}
  | Attach t a => with_attached st (edit_key subject_eq t (fun _ => a) (attached st))
  | InsertCap id i cap =>
      with_cfg st {| cnodes := edit_key cnode_eq id (cons (i, cap)) (cnodes (cfg st));
                     vspaces := vspaces (cfg st); threads := threads (cfg st);
                     owner_first := owner_first (cfg st) |}
  | RemoveCap id i =>
      with_cfg st {| cnodes := edit_key cnode_eq id (filter (fun '(i', _) => negb (i =? i'))) (cnodes (cfg st));
                     vspaces := vspaces (cfg st); threads := threads (cfg st);
                     owner_first := owner_first (cfg st) |}
  | AddMapping v m r =>
      with_cfg st {| cnodes := cnodes (cfg st);
                     vspaces := edit_key subject_eq v (cons (m, r)) (vspaces (cfg st));
                     threads := threads (cfg st); owner_first := owner_first (cfg st) |}
  | RemoveMapping v m =>
      with_cfg st {| cnodes := cnodes (cfg st);
                     vspaces := edit_key subject_eq v
                       (filter (fun '(m', _) => if region_eq m m' then false else true)) (vspaces (cfg st));
                     threads := threads (cfg st); owner_first := owner_first (cfg st) |}
  | SetRoots t b =>
      with_cfg st {| cnodes := cnodes (cfg st); vspaces := vspaces (cfg st);
                     threads := edit_key subject_eq t (fun _ => b) (threads (cfg st));
                     owner_first := owner_first (cfg st) |}
  end.

(** ** What each operation does *)

(** A result goes in front of the registers. *)
Definition give (s : subject) (l : list N) : effect := EditRegisters s (app l).

(** A thread leaves the queue or the reply object that it waits on (src/object/tcb.c, cancelIPC). *)
Definition cancel (st : state) (t : subject) : list effect :=
  match run (thr st t) with
  | SendBlocked e => [Unqueue e t]
  | ReplyBlocked o => [SetAwaits o None]
  | Running | Inactive => []
  end.

(** Capabilities that are sent: those that the sender names. *)
Definition named (st : state) (s : subject) (addresses : list N) : list capability :=
  flat_map (fun a => match lookup (cfg st) s a with Some c => [c] | None => [] end) addresses.

(** A capability arrives in a receive slot, where the receiver names a CNode for it. *)
Definition take_cap (st : state) (s : subject) (arriving : list capability) (slot : N * N) : list effect :=
  match arriving, cnode_cap (cfg st) s (fst slot) with
  | cap :: _, Some (id, _) => [InsertCap id (snd slot) cap]
  | _, _ => []
  end.

(** The head of the queue of [e] is received, with reply object [o] if there is one. *)
Definition deliver (st : state) (s e : subject) (o : option subject) (m : message) (slot : N * N) : list effect :=
  [Dequeue e; give s (badge m :: words m)] ++ take_cap st s (caps m) slot ++
  match how m, o with
  | Nonblocking, _ => []
  | Blocking, _ => [SetRun (sender m) Running]
  | Call, Some o | Fault, Some o =>
      match awaits st o with Some t => [SetRun t Inactive] | None => [] end
        ++ [SetAwaits o (Some (sender m)); SetRun (sender m) (ReplyBlocked o)]
  | Call, None | Fault, None => [SetRun (sender m) Inactive]
  end.

Definition blocks (k : kind) : bool := match k with Nonblocking => false | _ => true end.

Definition send (s e : subject) (k : kind) (b : N) (w : list N) (cs : list capability) : list effect :=
  Enqueue e {| sender := s; how := k; badge := b; words := w; caps := cs |} ::
  (if blocks k then [SetRun s (SendBlocked e)] else []).

(** What [s] receives on the endpoint of [e]: the signals of its bound notification come first. *)
Definition receive (st : state) (s e : subject) (o : option subject) (slot : N * N) : list effect :=
  let from_queue :=
    if takes (cfg st) s e
    then match queue st e with [] => [] | m :: _ => deliver st s e o m slot end else [] in
  match bound (attached st) s with
  | Some n => if pending st n =? 0 then from_queue else [give s [pending st n]; TakeSignals n]
  | None => from_queue
  end.

Definition raise_irq (st : state) (i : N) : list effect :=
  if masked (irqs st i) then []
  else match signals (irqs st i) with
       | Some (n, b) => [SetMasked i true; AddSignal n b]
       | None => []
       end.

(** A fault needs Write and Grant on the handler's endpoint (src/object/tcb.c, validFaultHandler). *)
Definition crash (st : state) (s : subject) (w : list N) : list effect :=
  match fault_handler (attachment_of (attached st) s) with
  | Some (CEndpoint e b r) =>
      if may_write r && may_grant r then send s e Fault b w [] else [SetRun s Inactive]
  | _ => [SetRun s Inactive]
  end.

Definition effects (st : state) (s : subject) (o : op) : list effect :=
  let c := cfg st in
  match o with
  | Compute f => [EditRegisters s f]
  | Load m a => if mapped c s m may_read then [give s [mem st m a]] else []
  | Store m a v => if mapped c s m may_write then [Write m a v] else []
  | Crash w => crash st s w
  | Signal n =>
      match notification c s n with
      | Some (n, b, r) => if may_write r then [AddSignal n b] else []
      | None => []
      end
  | Poll n =>
      match notification c s n with
      | Some (n, _, r) =>
          if may_read r && may_poll (attached st) s n
          then [give s [pending st n]; TakeSignals n] else []
      | None => []
      end
  | Send e k w cs =>
      match endpoint c s e with
      | Some (e, b, r) =>
          if may_write r then send s e k b w (if may_grant r then named st s cs else []) else []
      | None => []
      end
  | Receive e reply slot =>
      match endpoint c s e with
      | Some (e, _, r) => if may_read r then receive st s e (reply_object c s reply) slot else []
      | None => []
      end
  | Answer reply f cs slot =>
      match reply_object c s reply with
      | Some o =>
          match awaits st o with
          | Some t => [SetAwaits o None; EditRegisters t f; SetRun t Running]
                        ++ take_cap st t (named st s cs) slot
          | None => []
          end
      | None => []
      end
  | Suspend t =>
      match tcb c s t with Some t => cancel st t ++ [SetRun t Inactive] | None => [] end
  | Resume t =>
      match tcb c s t with Some t => cancel st t ++ [SetRun t Running] | None => [] end
  | WriteRegisters t r =>
      match tcb c s t with Some t => [EditRegisters t (fun _ => r)] | None => [] end
  | ReadRegisters t =>
      match tcb c s t with Some t => [give s (registers (thr st t))] | None => [] end
  | CopyRegisters from to =>
      match tcb c s from, tcb c s to with
      | Some from, Some to => [EditRegisters to (fun _ => registers (thr st from))]
      | _, _ => []
      end
  | SetFaultHandler t e =>
      match tcb c s t, endpoint c s e with
      | Some t, Some (e, b, r) =>
          [Attach t {| fault_handler := Some (CEndpoint e b r); bound_notification := bound (attached st) t |}]
      | _, _ => []
      end
  | BindNotification t n =>
      match tcb c s t, notification c s n with
      | Some t, Some (n, _, r) =>
          if may_read r
          then [Attach t {| fault_handler := fault_handler (attachment_of (attached st) t);
                            bound_notification := Some n |}]
          else []
      | _, _ => []
      end
  | UnbindNotification t =>
      match tcb c s t with
      | Some t =>
          [Attach t {| fault_handler := fault_handler (attachment_of (attached st) t);
                       bound_notification := None |}]
      | None => []
      end
  (* The new CSpace root must be a CNode that the caller names (src/object/tcb.c, decodeSetSpace). *)
  | SetSpace t croot vroot =>
      match tcb c s t, cnode_cap c s croot, vspace_cap c s vroot with
      | Some t, Some (_, root), Some v =>
          [SetRoots t {| cspace_root := Some root; vspace_root := Some v; raises := lines c t |}]
      | _, _, _ => []
      end
  | IrqAck i =>
      match irq_handler c s i with Some i => [SetMasked i false] | None => [] end
  | IrqSet i n =>
      match irq_handler c s i, notification c s n with
      | Some i, Some (n, b, r) => if may_write r then [SetSignals i (Some (n, b))] else []
      | _, _ => []
      end
  | IrqClear i =>
      match irq_handler c s i with Some i => [SetSignals i None] | None => [] end
  | Raise i => if existsb (N.eqb i) (lines c s) then raise_irq st i else []
  | CopyCap from i to j =>
      match cnode_cap c s from, cnode_cap c s to with
      | Some (from, _), Some (to, _) =>
          match find_key N.eq_dec i (slots c from) with
          | Some cap => [InsertCap to j cap]
          | None => []
          end
      | _, _ => []
      end
  | DeleteCap id i =>
      match cnode_cap c s id with Some (id, _) => [RemoveCap id i] | None => [] end
  (* More than seL4 grants: whoever has a source of authority makes any capability, anywhere. *)
  | Create by_ id i cap => if authority_source c s by_ then [InsertCap id i cap] else []
  | MapFrame f v =>
      match frame_cap c s f, vspace_cap c s v with
      | Some (m, r), Some v => [AddMapping v m r]
      | _, _ => []
      end
  | UnmapFrame f v =>
      match frame_cap c s f, vspace_cap c s v with
      | Some (m, _), Some v => [RemoveMapping v m]
      | _, _ => []
      end
  end.

Definition apply_all (st : state) (l : list effect) : state := fold_left apply l st.

(** ** Executions

    An event is a subject's turn: one step of any program, a function of its registers. An execution
    is any sequence of events, so every schedule is one. A thread that is not running, and whoever is
    no subject of the system, does nothing. *)
Definition event : Type := subject * (list N -> op).

Definition is_running (t : thread) : bool := match run t with Running => true | _ => false end.

Definition is_subject (c : config) (s : subject) : bool :=
  match find_key subject_eq s (threads c) with Some _ => true | None => false end.

Definition step (st : state) (e : event) : state :=
  let s := fst e in
  if is_subject (cfg st) s && is_running (thr st s)
  then apply_all st (effects st s (snd e (registers (thr st s))))
  else st.

Definition exec (st : state) (l : list event) : state := fold_left step l st.
