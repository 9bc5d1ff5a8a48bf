(** * The theorems for n clients

    Responsible for: T1 to T4 for every description that is [mediated] (Clients.v), whatever the number
    of its clients. The flow relation is cut by an argument about what each subject holds
    (Holdings.v), not by computation. *)

From Coq Require Import List NArith String Bool.
From SeL4LLM Require Import Description Model Authority Graph Depend Flow Mediation Microkit Clients Holdings.
Import ListNotations.
Local Open Scope N_scope.
Local Open Scope list_scope.

Section Compartments.

Variable d : description.
Variable board : wiring.

(** The endpoints whose owner is first there. Theorems that need it ask for [In Monitor first]; all
    others hold without. *)
Variable first : list subject.

Hypothesis Mediated : mediated d board.

Let S := microkit_with d board first.
Let G := capabilities S.
Let B := attachments S.

Notation compartment := (compartment d).
Notation may_answer := (may_answer S).
Notation reaches_endpoint := (reaches_endpoint d).
Notation ordered := (Holdings.ordered d board Mediated).
Notation parents := (Holdings.parents d board Mediated).
Notation one_of_a_name := (Holdings.one_of_a_name d board Mediated).
Notation peers := (Holdings.peers d board Mediated).
Notation holds_cases := (Holdings.holds_cases d board first Mediated).
Notation held_endpoint := (Holdings.held_endpoint d board first Mediated).
Notation held_notification := (Holdings.held_notification d board first Mediated).
Notation known_notification := (Holdings.known_notification d board first Mediated).
Notation held_reply := (Holdings.held_reply d board first Mediated).
Notation held_tcb := (Holdings.held_tcb d board first Mediated).
Notation held_irq := (Holdings.held_irq d board first Mediated).
Notation handlers := (Holdings.handlers d board first Mediated).
Notation senders_reach := (Holdings.senders_reach d board first Mediated).
Notation signalled := (Holdings.signalled d board first Mediated).
Notation in_attachments := (Holdings.in_attachments d board first).
Notation bound_to := (Holdings.bound_to d board first).
Notation polled_by_its_own := (Holdings.polled_by_its_own d board first).
Notation in_space := (Holdings.in_space d board first).
Notation in_lines := (Holdings.in_lines d board first).
Notation unwired_line := (Holdings.unwired_line d board).
Notation alters_thread := (Holdings.alters_thread S).
Notation alters_memory_only := (Holdings.alters_memory_only S).
Notation alters_pending := (Holdings.alters_pending S).
Notation alters_queue := (Holdings.alters_queue S).
Notation alters_awaits := (Holdings.alters_awaits S).
Notation alters_irq := (Holdings.alters_irq S).
Notation observes_thread := (Holdings.observes_thread S).
Notation observes_memory_only := (Holdings.observes_memory_only S).
Notation observes_pending := (Holdings.observes_pending S).
Notation observes_queue := (Holdings.observes_queue S).
Notation observes_awaits := (Holdings.observes_awaits S).
Notation observes_irq := (Holdings.observes_irq S).


(** ** The flow relation, cut by audit *)

(** A compartment: the domain, its devices, and its interrupt lines. *)
Definition belongs (p : protection_domain) (u : subject) : bool :=
  match u with
  | Pd n => same_name n (pd_name p)
  | Monitor => false
  | Device r => existsb (same_name r) (devices_of d board p)
  | Line i => has_irq p i
  end.

Definition is_client (p : protection_domain) : Prop := compartment p /\ pd_name p <> server.

Lemma in_clients : forall p, In p (clients d) <-> is_client p.
Proof.
  intros p. unfold clients, compartments, is_client, Holdings.compartment.
    rewrite !filter_In, !negb_true_iff, !is_named_neq. tauto.
Qed.

Lemma belongs_pd : forall p n, belongs p (Pd n) = true <-> n = pd_name p.
Proof. intros. apply same_name_eq. Qed.

Lemma belongs_device : forall p r, belongs p (Device r) = true <-> In r (devices_of d board p).
Proof.
  intros p r. simpl. rewrite existsb_exists. split.
  - intros (x & X & E). apply same_name_eq in E. congruence.
  - intros I. exists r. split; [assumption | apply same_name_eq; reflexivity].
Qed.

Lemma not_trusted : forall p u, compartment p -> belongs p u = true -> u <> Monitor /\ u <> Pd mediator.
Proof.
  intros p u [_ N] H. split; intros ->; [discriminate H |]. apply belongs_pd in H. congruence.
Qed.

Lemma its_domain : forall p n, compartment p -> belongs p (Pd n) = true ->
  forall q, In q (domains d) -> n = pd_name q -> q = p.
Proof. intros p n [P _] H q Q E. apply belongs_pd in H. apply one_of_a_name; congruence. Qed.

(** Where what leaves a compartment can arrive at once: at the mediator, at the monitor, in the compartment
    itself, and, unless the monitor is first at its endpoint, from a client at a client. *)
Definition next (p : protection_domain) (v : subject) : Prop :=
  v = Pd mediator \/ v = Monitor \/ belongs p v = true \/
  (~ In Monitor first /\ pd_name p <> server /\ exists q, is_client q /\ v = Pd (pd_name q)).

Lemma takes_not : forall s, s <> Monitor -> takes G s Monitor = true -> ~ In Monitor first.
Proof.
  intros s N T I. unfold takes in T. destruct (subject_eq s Monitor); [contradiction |]. simpl in T.
  apply negb_true_iff in T. apply not_true_iff_false in T. apply T. apply existsb_exists. exists Monitor. auto.
Qed.

Lemma meet_at_endpoint : forall p u v e, compartment p -> belongs p u = true ->
  reaches_endpoint u e -> reaches_endpoint v e ->
  (v <> Monitor -> e = Monitor -> ~ In Monitor first) -> next p v.
Proof.
  intros p u v e P U Ru Rv F. destruct (not_trusted _ _ P U) as [NM Nm].
  destruct Ru as [[-> Ou] | [-> [-> | ->]]]; [| contradiction |]; destruct Rv as [[E Ov] | [E Ov]];
    try discriminate E.
  - destruct Ov as [-> | (q & Q & -> & Nq)]; [right; left; reflexivity |].
    destruct (string_dec (pd_name q) mediator) as [M | M]; [left; congruence |].
    right. right. right. destruct Ou as [-> | (p' & P' & -> & Np)]; [contradiction |].
    apply belongs_pd in U. split; [apply F; [discriminate | reflexivity] |]. split; [congruence |].
    exists q. repeat split; assumption.
  - destruct Ov as [-> | ->]; [left; reflexivity | right; right; left; exact U].
Qed.

Lemma answered_next : forall p u v, compartment p -> belongs p u = true -> may_answer u v -> next p v.
Proof.
  intros p u v P U (e & b & r & H & T & V). apply held_endpoint in H. apply senders_reach in V.
  apply (meet_at_endpoint p u v e); try assumption. intros _ ->.
  apply andb_true_iff in T. destruct T as [_ T]. apply (takes_not u); [apply (not_trusted p u P U) | exact T].
Qed.

Lemma own_space : forall p u m r, compartment p -> belongs p u = true -> In (m, r) (space G u) ->
  m = Private u \/
  exists x, m = Shared x /\
    ((has_map p x = true /\ u = Pd (pd_name p)) \/ (In x (devices_of d board p) /\ u = Device x)).
Proof.
  intros p u m r P U H. apply in_space in H.
  destruct H as [(q & Q & -> & [H | (x & X & -> & _)]) | [(-> & _) | (x & X & -> & ->)]].
  - auto.
  - right. exists (map_region x). split; [reflexivity |]. left.
    rewrite (its_domain p _ P U q Q eq_refl) in *. split; [apply in_map_of; eauto | reflexivity].
  - discriminate U.
  - right. exists x. split; [reflexivity |]. right. split; [apply belongs_device; exact U | reflexivity].
Qed.

Lemma domain_dec : forall p q, In p (domains d) -> In q (domains d) -> p = q \/ pd_name q <> pd_name p.
Proof.
  intros p q P Q. destruct (string_dec (pd_name p) (pd_name q)) as [E | E]; [left; apply one_of_a_name;
    assumption | right; congruence].
Qed.

(** Who reads a region that a compartment maps, or that is its device: audit, or somebody of the
    compartment. *)
Lemma memory_seen : forall p v x, compartment p -> has_map p x = true \/ In x (devices_of d board p) ->
  In (PMemory (Shared x)) (observes S v) -> v = Pd mediator \/ belongs p v = true.
Proof.
  intros p v x P A O. pose proof (ordered p P) as Or. apply observes_memory_only in O. destruct O as (r & O & _).
  apply in_space in O.
  destruct O as [(q & Q & -> & [O | (y & Y & O & _)]) | [(-> & O) | (y & Y & -> & O)]]; try discriminate O;
    injection O as ->.
  - destruct (domain_dec p q (proj1 P) Q) as [<- | N]; [right; apply belongs_pd; reflexivity |].
    destruct (string_dec (pd_name q) mediator) as [M | M]; [left; congruence | exfalso].
    assert (H : has_map q (map_region y) = true) by (apply in_map_of; eauto).
    destruct A as [A | A].
    + rewrite (its_regions _ _ _ Or q _ Q N M A) in H. discriminate.
    + rewrite (proj1 (its_devices _ _ _ Or q _ Q N A)) in H. discriminate.
  - right. apply belongs_device. destruct A as [A | A]; [apply in_devices_of; auto | exact A].
Qed.

Lemma private_seen : forall s v, In (PMemory (Private s)) (observes S v) -> v = s.
Proof.
  intros s v O. apply observes_memory_only in O. destruct O as (r & O & _). apply in_space in O.
  destruct O as [(q & Q & -> & [O | (y & _ & O & _)]) | [(-> & O) | (y & _ & _ & O)]]; try discriminate O; congruence.
Qed.

Lemma memory_next : forall p u v m, compartment p -> belongs p u = true ->
  In (PMemory m) (alters S u) -> In (PMemory m) (observes S v) -> next p v.
Proof.
  intros p u v m P U A O. apply alters_memory_only in A. destruct A as (r & A & _).
  apply (own_space p u m r P U) in A. destruct A as [-> | (x & -> & A)].
  - apply private_seen in O. subst v. right. right. left. exact U.
  - apply (memory_seen p v x P) in O; [unfold next; tauto | tauto].
Qed.

Lemma own_notification : forall p n b r, compartment p -> holds S (Pd (pd_name p)) (CNotification n b r) ->
  n = Pd (pd_name p) \/ n = Pd mediator.
Proof.
  intros p n b r P H. apply held_notification in H. destruct H as (q & Q & E & [-> | (a & c & I & A & -> & _)]);
    [auto |].
  injection E as E. destruct (peers p a c P I ltac:(congruence)) as (M & _). right. congruence.
Qed.

(** Whoever gets an interrupt that a compartment's device raises is the compartment's domain. *)
Lemma own_line : forall p u i q, compartment p -> belongs p u = true -> In i (lines G u) ->
  In q (domains d) -> has_irq q i = true -> q = p.
Proof.
  intros p u i q P U L Q H. pose proof (ordered p P) as Or.
  destruct (domain_dec p q (proj1 P) Q) as [<- | N]; [reflexivity | exfalso].
  apply in_lines in L. destruct L as [(r & _ & -> & W) | (-> & _)].
  - apply belongs_device in U. rewrite (proj2 (its_devices _ _ _ Or q r Q N U) i W) in H. discriminate.
  - rewrite (its_irqs _ _ _ Or q i Q N U) in H. discriminate.
Qed.

Lemma pending_next : forall p u v n, compartment p -> belongs p u = true ->
  In (PPending n) (alters S u) -> In (PPending n) (observes S v) -> next p v.
Proof.
  intros p u v n P U A O.
  assert (N : n = u \/ n = Pd (pd_name p) \/ n = Pd mediator).
  { apply alters_pending in A. destruct A as [(b & r & H) | [H | (i & L & H)]].
    - destruct (held_notification _ _ _ _ H) as (q & Q & E & _). rewrite E in U, H.
      rewrite (its_domain p _ P U q Q eq_refl) in *. right. eapply own_notification; eassumption.
    - left. apply bound_to. exact H.
    - right. apply signalled in H. destruct H as (q & Q & I & H). rewrite (own_line p u i q P U L Q I) in *.
      destruct H as [-> | (b & r & H)]; [auto | eapply own_notification; eassumption]. }
  assert (V : n = v).
  { apply observes_pending in O. destruct O as [(b & r & H & Po) | H].
    - destruct (known_notification _ _ _ _ H) as (q & Q & ->). symmetry. apply polled_by_its_own; assumption.
    - apply bound_to. exact H. }
  subst v. unfold next. destruct N as [-> | [-> | ->]]; [auto | | auto].
  right. right. left. apply belongs_pd. reflexivity.
Qed.

Lemma irq_next : forall p u v i, compartment p -> belongs p u = true ->
  In (PIrq i) (alters S u) -> In (PIrq i) (observes S v) -> next p v.
Proof.
  intros p u v i P U A O. apply observes_irq in O. apply in_lines in O.
  right. right. left. apply alters_irq in A.
  assert (H : has_irq p i = true \/ exists r, In r (devices_of d board p) /\ is_wired board r i = true).
  { destruct A as [A | A].
    - apply held_irq in A. destruct A as (q & Q & -> & H). rewrite (its_domain p _ P U q Q eq_refl) in *. auto.
    - apply in_lines in A. destruct A as [(r & _ & -> & W) | (-> & _)]; [| auto].
      right. exists r. split; [apply belongs_device; exact U | exact W]. }
  destruct O as [(r & R & -> & W) | (-> & Un)].
  - apply belongs_device. destruct H as [H | (r' & R' & W')]; [apply in_devices_of; eauto 6 |].
    eapply (its_lines _ _ _ (ordered p P)); eassumption.
  - destruct H as [H | (r' & R' & W')]; [exact H |]. apply in_devices_of in R'.
    rewrite (unwired_line i r' Un (proj1 R')) in W'. discriminate.
Qed.

Lemma meets : forall u v, flows S u v = true -> u = v \/ exists x, In x (alters S u) /\ In x (observes S v).
Proof.
  intros u v H. apply orb_true_iff in H. destruct H as [H | H].
  - destruct (subject_eq u v); [auto | discriminate].
  - apply existsb_exists in H. destruct H as (x & X & H). apply existsb_exists in H. destruct H as (y & Y & E).
    destruct (part_eq x y) as [<- |]; [eauto | discriminate].
Qed.

(** What leaves a compartment arrives where [next] says. *)
Theorem flow_next : forall p u v, compartment p -> belongs p u = true -> flows S u v = true -> next p v.
Proof.
  intros p u v P U H. apply meets in H. destruct H as [<- | (x & A & O)]; [right; right; left; exact U |].
  destruct (not_trusted _ _ P U) as [NM Nm].
  assert (T : forall t, ~ holds S u (CTcb t)) by (intros t H; apply held_tcb in H; destruct H as [_ [H | [H _]]];
    contradiction).
  destruct x as [t | m | n | e | o | i].
  - apply observes_thread in O. destruct O as [-> | O].
    + apply alters_thread in A. destruct A as [-> | [A | [A | (o & s & R & R' & A)]]].
      * right. right. left. exact U.
      * elim (T _ A).
      * eapply answered_next; eassumption.
      * apply held_reply in R, R'. subst. eapply answered_next; eassumption.
    + apply held_tcb in O. unfold next. tauto.
  - eapply memory_next; eassumption.
  - eapply pending_next; eassumption.
  - apply observes_queue in O. destruct O as (b & r & H & K).
    apply (meet_at_endpoint p u v e); try assumption.
    + apply alters_queue in A. destruct A as [(b' & r' & A) | [(t & A) | A]];
        [eapply held_endpoint; eassumption | elim (T _ A) | apply handlers; assumption].
    + eapply held_endpoint; eassumption.
    + intros N ->. apply andb_true_iff in K. exact (takes_not v N (proj2 K)).
  - apply observes_awaits, held_reply in O. apply alters_awaits in A. destruct A as [A | (t & A)]; [| elim (T _ A)].
    apply held_reply in A. right. right. left. congruence.
  - eapply irq_next; eassumption.
Qed.

(** A device or a line holds no capability, and nobody has its thread. *)
Definition is_hardware (u : subject) : Prop := match u with Device _ | Line _ => True | _ => False end.

Lemma hardware_holds_nothing : forall h c, is_hardware h -> ~ holds S h c.
Proof.
  intros h c Hw H. apply holds_cases in H. destruct H as [(q & _ & -> & _) | (-> & _)]; exact Hw.
Qed.

Lemma hardware_view : forall h x, is_hardware h -> In x (observes S h) ->
  x = PThread h \/ (exists m, x = PMemory m /\ exists r, In (m, r) (space G h)) \/
  (exists i, x = PIrq i /\ In i (lines G h)).
Proof.
  intros h x Hw O. pose proof (fun c => hardware_holds_nothing h c Hw) as Nc. destruct x as [t | m | n | e | o | i].
  - apply observes_thread in O. destruct O as [-> | O]; [auto | elim (Nc _ O)].
  - apply observes_memory_only in O. destruct O as (r & O & _). eauto 6.
  - apply observes_pending in O. destruct O as [(b & r & O & _) | O]; [elim (Nc _ O) |].
    unfold bound, attachment_of in O. destruct (find_key subject_eq h (attachments S)) eqn:F; [| discriminate].
    apply find_key_in, in_attachments in F. destruct F as (q & k & _ & -> & _). elim Hw.
  - apply observes_queue in O. destruct O as (b & r & O & _). elim (Nc _ O).
  - apply observes_awaits in O. elim (Nc _ O).
  - apply observes_irq in O. eauto.
Qed.

Lemma hardware_thread : forall u h, is_hardware h -> In (PThread h) (alters S u) -> h = u.
Proof.
  intros u h Hw A. assert (Ns : forall s, ~ may_answer s h).
  { intros s (e & b & r & _ & _ & H). apply senders_reach in H.
    destruct H as [(_ & [-> | (q & _ & -> & _)]) | (_ & [-> | ->])]; exact Hw. }
  apply alters_thread in A. destruct A as [-> | [A | [A | (o & s & _ & _ & A)]]];
    [reflexivity | | elim (Ns _ A) | elim (Ns _ A)].
  apply held_tcb in A. destruct A as [(q & _ & ->) _]. elim Hw.
Qed.

(** What arrives at a compartment's hardware comes from the compartment. *)
Theorem flow_to_hardware : forall p u h, compartment p -> belongs p h = true -> is_hardware h ->
  flows S u h = true -> belongs p u = true.
Proof.
  intros p u h P V Hw H. pose proof (ordered p P) as Or.
  apply meets in H. destruct H as [-> | (x & A & O)]; [exact V |].
  apply (hardware_view h x Hw) in O. destruct O as [-> | [(m & -> & w & O) | (i & -> & O)]].
  - apply (hardware_thread u h Hw) in A. congruence.
  - apply alters_memory_only in A. destruct A as (w' & A & _).
    apply in_space in O. destruct O as [(q & _ & -> & _) | [(-> & _) | (y & _ & -> & ->)]]; try contradiction.
    apply belongs_device in V.
    apply in_space in A. destruct A as [(q & Q & -> & [A | (z & Z & A & _)]) | [(_ & A) | (z & _ & -> & A)]];
      try discriminate A;
      injection A as ->.
    + destruct (domain_dec p q (proj1 P) Q) as [<- | N]; [apply belongs_pd; reflexivity |].
      assert (M : has_map q (map_region z) = true) by (apply in_map_of; eauto).
      rewrite (proj1 (its_devices _ _ _ Or q _ Q N V)) in M. discriminate.
    + apply belongs_device. exact V.
  - apply alters_irq in A. destruct A as [A | A].
    + apply held_irq in A. destruct A as (q & Q & -> & I).
      rewrite (own_line p h i q P V O Q I). apply belongs_pd. reflexivity.
    + apply in_lines in O, A. destruct O as [(r & R & -> & W) | (-> & Un)];
      destruct A as [(r' & R' & -> & W') | (-> & Un')].
      * apply belongs_device. apply belongs_device in V. eapply (its_lines _ _ _ Or); eassumption.
      * rewrite (unwired_line i r Un' R) in W. discriminate.
      * rewrite (unwired_line i r' Un R') in W'. discriminate.
      * exact V.
Qed.


(** ** What the general theorems ask of a system *)

Lemma is_a_subject : forall p, In p (domains d) -> In (Pd (pd_name p)) (universe S).
Proof.
  intros p P. unfold universe, subjects. fold G.
  change (threads G) with (map domain_binding (domains d)
    ++ [(Monitor, {| cspace_root := Some monitor_root; vspace_root := Some Monitor; raises := [] |})]
    ++ map (fun r => (Device r, {| cspace_root := None; vspace_root := Some (Device r);
      raises := wired board r |})) (devices d)
    ++ map (fun i => (Line i, {| cspace_root := None; vspace_root := None; raises := [i] |})) (unwired d board)).
  rewrite map_app. apply in_or_app. left. rewrite map_map. apply in_map_iff. exists p. auto.
Qed.

Theorem sources_are_unnameable : no_authority_source G = true.
Proof.
  unfold no_authority_source. apply forallb_forall. intros s _. apply forallb_forall. intros c C.
  apply holds_cases in C. destruct C as [(p & P & -> & C) | [-> C]]; destruct C; try reflexivity.
  - unfold input_cap. destruct (has_endpoint d p); reflexivity.
  - unfold fault_cap. destruct (pd_parent p) as [[] |]; reflexivity.
  - unfold harmless. destruct (subject_eq _ _); congruence.
Qed.

Lemma answered_is_subject : forall s t, may_answer s t -> In t (universe S).
Proof. intros s t (e & b & r & _ & _ & H). apply filter_In in H. apply H. Qed.

Theorem universe_is_closed : closed_universe S = true.
Proof.
  unfold closed_universe. apply forallb_forall. intros u U. apply forallb_forall. intros x X.
  destruct x; try reflexivity. apply is_member_in. apply alters_thread in X.
  destruct X as [-> | [X | [X | (o & s & _ & _ & X)]]]; [exact U | | eapply answered_is_subject; eassumption ..].
  apply held_tcb in X. destruct X as [(q & Q & ->) _]. apply is_a_subject. exact Q.
Qed.

Theorem attachments_are_inside : attached_inside S = true.
Proof.
  unfold attached_inside. apply forallb_forall. intros [s a] H. apply in_attachments in H.
  destruct H as (p & k & P & -> & _). apply is_member_in. apply is_a_subject. exact P.
Qed.

(** Of a compartment's program nothing is assumed. *)
Theorem compartments_are_not_restricted : forall p program, compartment p ->
  disciplined G (Pd (pd_name p), program).
Proof.
  intros p program [P N] H. exfalso. simpl in H. apply existsb_exists in H. destruct H as (c & C & T).
  destruct c; try discriminate T. apply held_tcb in C. destruct C as [_ [C | [C _]]]; [discriminate C | congruence].
Qed.

(** ** T1 *)

Theorem n_authority_never_grows : forall contents initial l,
  cfg (exec (boot_with d board first contents initial) l) = G.
Proof.
  intros. apply (authority_never_grows (boot_with d board first contents initial)). exact sources_are_unnameable.
Qed.

(** ** T2: who writes what *)

Lemma changes_only_by : forall x owners, (forall s, In x (alters S s) -> In s owners) ->
  forall l st, sound S st -> Forall (disciplined G) l -> (forall e, In e l -> ~ In (fst e) owners) ->
  same x st (exec st l).
Proof.
  intros x owners H l st So D N. apply (integrity S sources_are_unnameable); try assumption.
  intros e I _ A. exact (N e I (H _ A)).
Qed.

Definition ring (r : string) : part := PMemory (Shared r).

Lemma writers_of_ring : forall p r s, compartment p -> has_map p r = true -> is_device d r = false ->
  In (ring r) (alters S s) -> exists q, In q (domains d) /\ s = Pd (pd_name q) /\ can_write d q r = true /\
    (q = p \/ pd_name q = mediator).
Proof.
  intros p r s P M Dv A. apply alters_memory_only in A. destruct A as (w & A & W). apply in_space in A.
  destruct A as [(q & Q & -> & [A | (y & Y & A & ->)]) | [(_ & A) | (y & Y & -> & A)]]; try discriminate A;
    injection A as ->.
  - exists q. split; [assumption |]. split; [reflexivity |]. split.
    { apply existsb_exists. exists y. split; [assumption |]. apply andb_true_iff.
      split; [apply same_name_eq; reflexivity | exact W]. }
    destruct (domain_dec p q (proj1 P) Q) as [<- | N]; [auto |].
    destruct (string_dec (pd_name q) mediator) as [Me | Me]; [auto | exfalso].
    assert (H : has_map q (map_region y) = true) by (apply in_map_of; eauto).
    rewrite (its_regions _ _ _ (ordered p P) q _ Q N Me M) in H. discriminate.
  - exfalso. apply not_true_iff_false in Dv. apply Dv. unfold devices in Y. apply in_flat_map in Y.
    destruct Y as (x & X & E). unfold is_device. apply existsb_exists. exists x. split; [assumption |].
    destruct (region_phys x); [| destruct E]. destruct E as [<- | []].
    apply andb_true_iff. split; [apply same_name_eq |]; reflexivity.
Qed.

(** Identity. The region by which a compartment speaks to audit is written by nobody else: what audit reads
    there, the compartment said, whatever all others do. *)
Theorem nobody_speaks_for_another : forall p, compartment p ->
  forall s, In (ring (out_ring (pd_name p))) (alters S s) -> s = Pd (pd_name p).
Proof.
  intros p P s A. pose proof (ordered p P) as Or.
  destruct (writers_of_ring p _ s P (proj1 (its_out_ring _ _ _ Or)) (proj1 (its_rings_are_memory _ _ _ Or)) A)
    as (q & Q & -> & W & [-> | M]); [reflexivity |].
  destruct (mediators_rings _ _ _ Or q Q M) as (_ & _ & _ & N). congruence.
Qed.

Corollary what_it_said_stays : forall p, compartment p -> forall l st, sound S st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> Pd (pd_name p)) -> same (ring (out_ring (pd_name p))) st (exec st l).
Proof.
  intros p P l st So D N. apply (changes_only_by _ [Pd (pd_name p)]); try assumption.
  - intros s A. left. symmetry. apply nobody_speaks_for_another; assumption.
  - intros e I [E | []]. apply (N e I). congruence.
Qed.

(** The region by which audit answers is written by audit alone, *)
Theorem only_the_mediator_answers : forall p, compartment p ->
  forall s, In (ring (in_ring (pd_name p))) (alters S s) -> s = Pd mediator.
Proof.
  intros p P s A. pose proof (ordered p P) as Or.
  destruct (writers_of_ring p _ s P (proj1 (its_in_ring _ _ _ Or)) (proj2 (its_rings_are_memory _ _ _ Or)) A)
    as (q & Q & -> & W & [-> | M]); [| congruence].
  rewrite (proj2 (its_in_ring _ _ _ Or)) in W. discriminate.
Qed.

Corollary what_it_was_told_stays : forall p, compartment p -> forall l st, sound S st -> Forall (disciplined G) l ->
  (forall e, In e l -> fst e <> Pd mediator) -> same (ring (in_ring (pd_name p))) st (exec st l).
Proof.
  intros p P l st So D N. apply (changes_only_by _ [Pd mediator]); try assumption.
  - intros s A. left. symmetry. exact (only_the_mediator_answers p P s A).
  - intros e I [E | []]. apply (N e I). congruence.
Qed.

(** and neither ring is read by anybody but the two. *)
Theorem rings_are_read_by_two : forall p, compartment p ->
  forall r, r = out_ring (pd_name p) \/ r = in_ring (pd_name p) ->
  forall s, In (ring r) (observes S s) -> s = Pd mediator \/ s = Pd (pd_name p).
Proof.
  intros p P r R s O. pose proof (ordered p P) as Or.
  assert (M : has_map p r = true /\ is_device d r = false).
  { destruct R as [-> | ->]; split; first [apply (its_out_ring _ _ _ Or) | apply (its_in_ring _ _ _ Or) | apply
    (its_rings_are_memory _ _ _ Or)]. }
  destruct M as [M Dv]. destruct (memory_seen p s r P (or_introl M) O) as [E | E]; [auto |]. right.
  apply observes_memory_only in O. destruct O as (w & O & _). apply in_space in O.
  destruct O as [(q & Q & -> & _) | [(_ & O) | (y & Y & -> & O)]]; try discriminate O.
  - apply belongs_pd in E. congruence.
  - injection O as ->. exfalso. apply not_true_iff_false in Dv. apply Dv. unfold devices in Y. apply in_flat_map in Y.
    destruct Y as (x & X & F). unfold is_device. apply existsb_exists. exists x. split; [assumption |].
    destruct (region_phys x); [| destruct F]. destruct F as [<- | []].
    apply andb_true_iff. split; [apply same_name_eq |]; reflexivity.
Qed.

(** The badge with which a compartment signals audit is that of its own channel, and no two have the same. *)
Theorem its_only_badge : forall p b r, compartment p ->
  holds S (Pd (pd_name p)) (CNotification (Pd mediator) b r) ->
  exists a c, ends_of d p = [(a, c)] /\ b = 2 ^ end_id c.
Proof.
  intros p b r P H. apply held_notification in H. destruct H as (q & Q & E & [M | (a & c & I & A & _ & ->)]).
  - injection M as M. destruct P. congruence.
  - injection E as E. destruct (its_channel _ _ _ (ordered p P)) as (a' & c' & L & _).
    assert (H : In (a, c) (ends_of d p)) by (apply filter_In; split; [assumption | apply same_name_eq; congruence]).
    rewrite L in H. destruct H as [H | []]. injection H as -> ->. eauto.
Qed.

Lemma nodup_injective : forall A C (f : A -> C) l, NoDup (map f l) ->
  forall x y, In x l -> In y l -> f x = f y -> x = y.
Proof.
  induction l as [| z l IH]; simpl; intros N x y X Y E; [contradiction |].
  inversion N as [| ? ? N1 N2]; subst. destruct X as [<- | X]; destruct Y as [<- | Y]; auto.
  - elim N1. rewrite E. apply in_map. exact Y.
  - elim N1. rewrite <- E. apply in_map. exact X.
Qed.

Theorem badges_differ : forall p q b b' r r', compartment p -> compartment q -> p <> q ->
  holds S (Pd (pd_name p)) (CNotification (Pd mediator) b r) ->
  holds S (Pd (pd_name q)) (CNotification (Pd mediator) b' r') -> b <> b'.
Proof.
  intros p q b b' r r' P Q N H H' E.
  destruct (its_only_badge p b r P H) as (a & c & L & ->). destruct (its_only_badge q b' r' Q H')
    as (a' & c' & L' & ->).
  apply N.pow_inj_r in E; [| reflexivity].
  assert (Mine : forall p a c, compartment p -> ends_of d p = [(a, c)] ->
    end_pd a = pd_name p /\ In (c, a) (filter (fun '(a, _) => same_name (end_pd a) mediator) (ends d))).
  { intros p0 a0 c0 P0 L0. assert (I : In (a0, c0) (ends_of d p0)) by (rewrite L0; left; reflexivity).
    apply filter_In in I. destruct I as [I Nm]. apply same_name_eq in Nm. split; [exact Nm |]. apply filter_In.
    split; [apply ends_both_ways; exact I |]. apply same_name_eq. apply (peers p0 a0 c0 P0 I Nm). }
  destruct (Mine p a c P L) as [Na I]. destruct (Mine q a' c' Q L') as [Na' I'].
  pose proof (nodup_injective _ _ (fun '(a, _) => end_id a) _ (numbers_once _ _ Mediated) _ _ I I' E) as X.
  injection X as _ X. apply N. apply one_of_a_name; [apply P | apply Q | congruence].
Qed.

(** A client's registers and run state are changed by nobody but itself and the monitor, if the monitor is
    first at its endpoint; without that, also by whoever takes a fault of the client's there. *)
Theorem registers_are_its_own : In Monitor first -> forall p, is_client p ->
  forall s, In (PThread (Pd (pd_name p))) (alters S s) -> s = Pd (pd_name p) \/ s = Monitor.
Proof.
  intros F p [[P N] Ns] s A.
  assert (An : forall s', may_answer s' (Pd (pd_name p)) -> s' = Monitor).
  { intros s' (e & b & r & H & T & V). apply senders_reach in V.
    destruct V as [[-> _] | [_ [V | V]]]; [| congruence ..].
    apply andb_true_iff in T. destruct T as [_ T].
    destruct (subject_eq s' Monitor) as [| Nm]; [assumption |]. elim (takes_not s' Nm T F). }
  apply alters_thread in A. destruct A as [A | [A | [A | (o & s' & R & R' & A)]]].
  - auto.
  - apply held_tcb in A. destruct A as [_ [A | [_ A]]]; [auto | congruence].
  - auto.
  - apply held_reply in R, R'. right. rewrite <- (An s' A). congruence.
Qed.

(** ** T3: mediation *)

Definition mediators : list subject := [Pd mediator; Monitor].

(** All of those compartments that [P] picks. *)
Definition side (P : protection_domain -> bool) : list subject :=
  filter (fun u => existsb (fun p => P p && belongs p u) (compartments d)) (universe S).

Lemma in_compartments : forall p, In p (compartments d) <-> compartment p.
Proof.
  intros p. unfold compartments. rewrite filter_In. split; intros [I N]; (split; [assumption |]).
  - apply negb_true_iff, is_named_neq in N. exact N.
  - apply negb_true_iff, is_named_neq. exact N.
Qed.

Lemma in_side : forall P u, In u (side P) <->
  In u (universe S) /\ exists p, compartment p /\ P p = true /\ belongs p u = true.
Proof.
  intros P u. unfold side. rewrite filter_In, existsb_exists. split.
  - intros [U (p & I & H)]. apply andb_true_iff in H. apply in_compartments in I. split; [assumption |]. exists p.
    tauto.
  - intros [U (p & I & H)]. split; [assumption |]. exists p. rewrite in_compartments, andb_true_iff. tauto.
Qed.

Lemma side_is_cut : forall P,
  In Monitor first \/ (forall p q, is_client p -> is_client q -> P p = true -> P q = true) ->
  is_cut S mediators (side P) = true.
Proof.
  intros P H. unfold is_cut. rewrite !andb_true_iff. split; [split |].
  - apply forallb_forall. intros c C. apply negb_true_iff, not_true_iff_false. rewrite is_member_in, in_side.
    intros [_ (p & I & _ & E)]. destruct (not_trusted p c I E) as [NM Nm]. destruct C as [<- | [<- | []]]; congruence.
  - apply forallb_forall. intros u U. apply is_member_in. apply in_side in U. apply U.
  - apply forallb_forall. intros u U. apply forallb_forall. intros v V.
    destruct (flows S u v) eqn:Fl; [| reflexivity]. cbn [negb orb]. apply orb_true_iff. rewrite !is_member_in.
    apply in_side in U. destruct U as [_ (p & I & Pp & E)].
    destruct (flow_next p u v I E Fl) as [-> | [-> | [Bv | (Nf & Ns & q & Q & ->)]]].
    + right. left. reflexivity.
    + right. right. left. reflexivity.
    + left. apply in_side. split; [assumption |]. exists p. auto.
    + left. apply in_side. split; [assumption |]. exists q. split; [apply Q |].
      split; [| apply belongs_pd; reflexivity].
      destruct H as [H | H]; [contradiction |]. exact (H p q (conj I Ns) Q Pp).
Qed.

Definition only (p : protection_domain) : protection_domain -> bool := fun q => same_name (pd_name q) (pd_name p).

Definition but_server : protection_domain -> bool := fun q => negb (is_named server q).

Lemma in_only : forall p u, compartment p -> In u (side (only p)) <-> In u (universe S) /\ belongs p u = true.
Proof.
  intros p u P. rewrite in_side. split; intros [U H]; (split; [assumption |]).
  - destruct H as (q & Q & E & Bq). apply same_name_eq in E. rewrite (one_of_a_name q p (proj1 Q) (proj1 P) E) in Bq.
    exact Bq.
  - exists p. repeat split; try apply P; [apply same_name_eq; reflexivity | exact H].
Qed.

Lemma only_is_cut : forall p, compartment p -> In Monitor first \/ pd_name p = server ->
  is_cut S mediators (side (only p)) = true.
Proof.
  intros p P H. apply side_is_cut. destruct H as [H | H]; [auto |]. right.
  intros p' q [_ N] _ E. apply same_name_eq in E. congruence.
Qed.

Lemma but_server_is_cut : is_cut S mediators (side but_server) = true.
Proof. apply side_is_cut. right. intros p q _ [_ N] _. apply negb_true_iff, is_named_neq. exact N. Qed.

Lemma not_a_mediator : forall p, compartment p -> ~ In (Pd (pd_name p)) mediators.
Proof. intros p [P N] [E | [E | []]]; [injection E as E; congruence | discriminate E]. Qed.

Lemma apart : forall p q, compartment p -> compartment q -> p <> q -> belongs p (Pd (pd_name q)) = false.
Proof.
  intros p q P Q N. apply not_true_iff_false. rewrite belongs_pd. intros E. apply N.
    apply one_of_a_name; [apply P | apply Q | congruence].
Qed.

(** *** On paths *)

(** Every path from one compartment to another that avoids the monitor passes audit: between a client and
    the server, and, if the monitor is first at its endpoint, between two clients. *)
Theorem n_paths : forall p, compartment p -> In Monitor first \/ pd_name p = server ->
  forall v, belongs p v = false ->
  forall w, path S (Pd (pd_name p)) w v -> ~ In Monitor w -> In (Pd mediator) w.
Proof.
  intros p P H v V w W N.
  destruct (every_path_leaves S universe_is_closed attachments_are_inside mediators (side (only p)) (Pd (pd_name p)) v
    (only_is_cut p P H)) with (p := w) as (c & [<- | [<- | []]] & I); try assumption; [| | contradiction].
  - apply in_only; [assumption |]. split; [apply is_a_subject, P | apply belongs_pd; reflexivity].
  - rewrite in_only by assumption. intros [_ E]. congruence.
Qed.

Theorem n_paths_to_server : forall p s, is_client p -> In s (domains d) -> pd_name s = server ->
  forall w, path S (Pd (pd_name p)) w (Pd server) -> ~ In Monitor w -> In (Pd mediator) w.
Proof.
  intros p s [P Np] Sv Ns w W N.
  destruct (every_path_leaves S universe_is_closed attachments_are_inside mediators (side but_server)
    (Pd (pd_name p)) (Pd server)
    but_server_is_cut) with (p := w) as (c & [<- | [<- | []]] & I); try assumption; [| | contradiction].
  - apply in_side. split; [apply is_a_subject, P |]. exists p. split; [assumption |].
    split; [| apply belongs_pd; reflexivity].
    apply negb_true_iff, is_named_neq. exact Np.
  - rewrite in_side. intros [_ (q & Q & E & Bq)]. apply belongs_pd in Bq. apply negb_true_iff, is_named_neq in E.
    congruence.
Qed.

(** *** On executions *)

(** A compartment's secrets: its registers, its own memory and that which it maps, its signals. *)
Definition secrets (p : protection_domain) : part -> Prop := fun x =>
  x = PThread (Pd (pd_name p)) \/ x = PMemory (Private (Pd (pd_name p))) \/ x = PPending (Pd (pd_name p)) \/
  exists r, has_map p r = true /\ x = PMemory (Shared r).

Lemma observer_is_subject : forall v x, In x (observes S v) -> In v (universe S) \/ x = PThread v.
Proof.
  intros v x O. destruct (in_dec subject_eq v (universe S)) as [V | V]; [auto | right].
  rewrite (observes_outside S) in O; [| exact V | exact (bound_outside S attachments_are_inside v V)].
  destruct O as [<- | []]. reflexivity.
Qed.

(** They can be seen by nobody but the compartment, audit and the monitor. *)
Theorem secrets_are_hidden : forall p P, compartment p -> P p = true -> hidden S mediators (side P) (secrets p).
Proof.
  intros p P C Pp x v X O.
  assert (H : v = Monitor \/ v = Pd mediator \/ belongs p v = true).
  { destruct X as [-> | [-> | [-> | (r & M & ->)]]].
    - apply observes_thread in O. destruct O as [<- | O]; [right; right; apply belongs_pd; reflexivity |].
      apply held_tcb in O. tauto.
    - apply private_seen in O. subst v. right. right. apply belongs_pd. reflexivity.
    - right. right. apply observes_pending in O. destruct O as [(b & r & _ & Po) | O].
      + rewrite (polled_by_its_own v p (proj1 C) Po). apply belongs_pd. reflexivity.
      + rewrite <- (bound_to v _ O). apply belongs_pd. reflexivity.
    - destruct (memory_seen p v r C (or_introl M) O); auto. }
  destruct H as [-> | [-> | H]]; [right; right; left; reflexivity | right; left; reflexivity | left].
  apply in_side. destruct (observer_is_subject v x O) as [V | ->]; [eauto |].
  split; [| eauto]. destruct X as [X | [X | [X | (r & _ & X)]]]; try discriminate X. injection X as ->.
    apply is_a_subject, C.
Qed.

(** Take any execution in which neither audit nor the monitor takes a step that reads what is tainted by [p].
    Leave out all steps of [p] and change all that is tainted at will: everybody else sees the same, to the
    bit. So what a client does, and what it holds, comes to another client or to the server only by a step of
    audit (or the monitor) that read it. *)
Theorem n_mediation : forall p, compartment p -> In Monitor first \/ pd_name p = server ->
  forall v, belongs p v = false -> ~ In v mediators ->
  forall l taint st st', sound S st -> sound S st' -> Forall (disciplined G) l ->
  let behind := side (only p) in
  hidden S mediators behind taint ->
  (forall x, ~ taint x -> same x st st') ->
  unread_by S mediators behind taint st l ->
  agree S v (exec st l) (exec st' (without behind l)).
Proof.
  intros p P H v V Nv l taint st st' So So' D behind Hi E U.
  refine (mediation_by_reading S sources_are_unnameable universe_is_closed attachments_are_inside mediators behind v
    (only_is_cut p P H) _ Nv l taint st st' So So' D Hi E U).
  unfold behind. rewrite in_only by assumption. intros [_ X]. congruence.
Qed.

(** So two systems that differ in a compartment's secrets alone look the same to everybody else until audit or
    the monitor reads what it made of them. *)
Corollary n_secrets : forall p, compartment p -> In Monitor first \/ pd_name p = server ->
  forall v, belongs p v = false -> ~ In v mediators ->
  forall l st st', sound S st -> sound S st' -> Forall (disciplined G) l ->
  let behind := side (only p) in
  (forall x, ~ secrets p x -> same x st st') ->
  unread_by S mediators behind (secrets p) st l ->
  agree S v (exec st l) (exec st' (without behind l)).
Proof.
  intros p P H v V Nv l st st' So So' D behind E U.
  refine (n_mediation p P H v V Nv l (secrets p) st st' So So' D _ E U).
  apply secrets_are_hidden; [assumption | apply same_name_eq; reflexivity].
Qed.

(** From the clients to the server, without the assumption on the monitor. *)
Theorem n_mediation_to_server : forall s, In s (domains d) -> pd_name s = server ->
  forall l taint st st', sound S st -> sound S st' -> Forall (disciplined G) l ->
  let behind := side but_server in
  hidden S mediators behind taint ->
  (forall x, ~ taint x -> same x st st') ->
  unread_by S mediators behind taint st l ->
  agree S (Pd server) (exec st l) (exec st' (without behind l)).
Proof.
  intros s Sv Ns l taint st st' So So' D behind Hi E U.
  refine (mediation_by_reading S sources_are_unnameable universe_is_closed attachments_are_inside mediators behind
    (Pd server)
    but_server_is_cut _ _ l taint st st' So So' D Hi E U).
  - unfold behind. rewrite in_side. intros [_ (q & Q & X & Bq)]. apply belongs_pd in Bq.
    apply negb_true_iff, is_named_neq in X. congruence.
  - intros [X | [X | []]]; discriminate X.
Qed.

(** ** T4: devices *)

(** The server has none, so n_mediation is about every device: no difference that the server makes arrives at
    one but by audit. *)
Theorem server_has_no_hardware : forall p h, compartment p -> pd_name p = server -> is_hardware h ->
  belongs p h = false.
Proof.
  intros p h P Ns Hw. destruct (its_hardware _ _ _ (ordered p P) Ns) as [I Dv].
  destruct h; try contradiction; simpl; [rewrite Dv | unfold has_irq; rewrite I]; reflexivity.
Qed.

(** All but a client and its hardware; [but] is left out. *)
Definition beyond (p : protection_domain) (but : list subject) : list subject :=
  filter (fun u => negb (belongs p u) && negb (is_member u but)) (universe S).

Lemma in_beyond : forall p but u, In u (beyond p but) <-> In u (universe S) /\ belongs p u = false /\ ~ In u but.
Proof.
  intros p but u. unfold beyond. rewrite filter_In, andb_true_iff, !negb_true_iff, <- (is_member_in u but), <-
    not_true_iff_false with (b := is_member u but). tauto.
Qed.

(** To a client's hardware a way leads only from the client. *)
Lemma beyond_is_cut : forall p but, compartment p -> is_cut S (Pd (pd_name p) :: but) (beyond p but) = true.
Proof.
  intros p but P. unfold is_cut. rewrite !andb_true_iff. split; [split |].
  - apply forallb_forall. intros c C. apply negb_true_iff, not_true_iff_false. rewrite is_member_in, in_beyond.
    intros (_ & E & N). destruct C as [<- | C]; [| contradiction]. apply not_true_iff_false in E. apply E.
      apply belongs_pd. reflexivity.
  - apply forallb_forall. intros u U. apply is_member_in. apply in_beyond in U. apply U.
  - apply forallb_forall. intros u U. apply forallb_forall. intros v V. apply in_beyond in U.
    destruct U as (_ & U & _).
    destruct (flows S u v) eqn:Fl; [| reflexivity]. cbn [negb orb]. apply orb_true_iff.
      rewrite !is_member_in, in_beyond.
    destruct (subject_eq v (Pd (pd_name p))) as [-> | N]; [right; left; reflexivity |].
    destruct (in_dec subject_eq v but) as [I | I]; [right; right; assumption |]. left. repeat split; try assumption.
    apply not_true_iff_false. intros Bv.
    assert (Hw : is_hardware v).
    { destruct v; simpl; auto; [| discriminate Bv]. apply belongs_pd in Bv. congruence. }
    rewrite (flow_to_hardware p u v P Bv Hw Fl) in U. discriminate.
Qed.

Lemma hardware_is_no_domain : forall h n, is_hardware h -> h <> Pd n.
Proof. intros h n H ->. exact H. Qed.

(** A client's device or line sees no difference that anybody else makes unless the client took a step that
    read it. *)
Theorem n_device : forall p h, compartment p -> belongs p h = true -> is_hardware h ->
  forall l taint st st', sound S st -> sound S st' -> Forall (disciplined G) l ->
  let behind := beyond p [] in
  hidden S [Pd (pd_name p)] behind taint ->
  (forall x, ~ taint x -> same x st st') ->
  unread_by S [Pd (pd_name p)] behind taint st l ->
  agree S h (exec st l) (exec st' (without behind l)).
Proof.
  intros p h P Bh Hw l taint st st' So So' D behind Hi E U.
  refine (mediation_by_reading S sources_are_unnameable universe_is_closed attachments_are_inside [Pd (pd_name p)]
    behind h
    (beyond_is_cut p [] P) _ _ l taint st st' So So' D Hi E U).
  - unfold behind. rewrite in_beyond. intros (_ & X & _). congruence.
  - intros [X | []]. symmetry in X. exact (hardware_is_no_domain h _ Hw X).
Qed.

(** From the server to a client's device, on paths: by audit, and from there by the client; *)
Theorem n_device_paths : forall p s h, is_client p -> In s (domains d) -> pd_name s = server ->
  belongs p h = true -> is_hardware h ->
  forall w, path S (Pd server) w h -> ~ In Monitor w ->
  In (Pd mediator) w /\ forall w1 w2, w = w1 ++ Pd mediator :: w2 -> In (Pd (pd_name p)) w2.
Proof.
  intros p s h [P Np] Sv Ns Bh Hw w W N. split.
  - assert (C : compartment s) by (split; [assumption | rewrite Ns; discriminate]).
    rewrite <- Ns in W. apply (n_paths s C (or_intror Ns) h); try assumption.
      exact (server_has_no_hardware s h C Ns Hw).
  - intros w1 w2 E. destruct (the_mediator _ _ Mediated) as (m & M & Nm).
    apply (path_leaves_later S universe_is_closed attachments_are_inside (Pd mediator) (Pd (pd_name p)) [Monitor]
      (beyond p [Monitor]) h
      (beyond_is_cut p [Monitor] P)) with (from := Pd server) (p := w) (p1 := w1); try assumption.
    + apply in_beyond. split; [rewrite <- Nm; apply is_a_subject; exact M |].
      split; [| intros [X | []]; discriminate X].
      apply not_true_iff_false. rewrite belongs_pd. destruct P. congruence.
    + rewrite in_beyond. intros (_ & X & _). congruence.
    + intros X. injection X as X. destruct P. congruence.
    + intros c [<- | []]. exact N.
Qed.

(** and on executions: only by a step of audit that a step of the client follows. [l1] has no step of audit,
    [l2] none of the client. *)
Theorem n_device_order : forall p s h, is_client p -> In s (domains d) -> pd_name s = server ->
  belongs p h = true -> is_hardware h ->
  forall l1 l2 st st', sound S st -> sound S st' -> Forall (disciplined G) (l1 ++ l2) ->
  (forall e, In e (l1 ++ l2) -> fst e <> Monitor) ->
  (forall e, In e l1 -> fst e <> Pd mediator) ->
  (forall e, In e l2 -> fst e <> Pd (pd_name p)) ->
  let behind := side (only s) in
  (forall v, ~ In v behind -> agree S v st st') ->
  agree S h (exec st (l1 ++ l2)) (exec st' (without behind (l1 ++ l2))).
Proof.
  intros p s h [P Np] Sv Ns Bh Hw l1 l2 st st' So So' D M A1 S2 behind A.
  assert (C : compartment s) by (split; [assumption | rewrite Ns; discriminate]).
  destruct (the_mediator _ _ Mediated) as (m & Mi & Nm).
  refine (ordered_mediation S sources_are_unnameable universe_is_closed attachments_are_inside (Pd mediator)
    (Pd (pd_name p)) [Monitor] behind (beyond p [Monitor]) h (only_is_cut s C (or_intror Ns))
    (beyond_is_cut p [Monitor] P) _ _ _ _ _ l1 l2 st st' So So' D _ A1 S2 A).
  - intros u U. apply in_only in U; [| assumption]. destruct U as [U Bu]. apply in_beyond. split; [assumption |].
    split.
    + apply not_true_iff_false. intros Bp. destruct u as [n | | r | i].
      * apply belongs_pd in Bu, Bp. congruence.
      * discriminate Bu.
      * rewrite (server_has_no_hardware s (Device r) C Ns I) in Bu. discriminate.
      * rewrite (server_has_no_hardware s (Line i) C Ns I) in Bu. discriminate.
    + intros [<- | []]. discriminate Bu.
  - apply in_beyond. split; [rewrite <- Nm; apply is_a_subject; exact Mi |].
    split; [| intros [X | []]; discriminate X].
    apply not_true_iff_false. rewrite belongs_pd. destruct P. congruence.
  - rewrite in_beyond. intros (_ & X & _). congruence.
  - exact (hardware_is_no_domain h _ Hw).
  - intros [<- | []]. exact Hw.
  - intros e I [X | []]. apply (M e I). congruence.
Qed.

End Compartments.
