(* Generated from systems/disk/system.xml by tools/isolation. Do not edit. *)
From Coq Require Import List NArith String.
From SeL4LLM Require Import Description.
Import ListNotations.
Local Open Scope string_scope.
Local Open Scope N_scope.

Definition system : description := {|
  regions := [
    {| region_name := "shell_to_audit"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "audit_to_shell"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "audit_to_inference"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "inference_to_audit"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "audit_to_files"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "files_to_audit"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "files_to_disk"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "disk_to_files"; region_size := 0x23000; region_phys := None; region_prefilled := false |};
    {| region_name := "policy"; region_size := 0x1000; region_phys := None; region_prefilled := true |};
    {| region_name := "audit_log"; region_size := 0x100000; region_phys := None; region_prefilled := false |};
    {| region_name := "arena"; region_size := 0x800000; region_phys := None; region_prefilled := false |};
    {| region_name := "model_store"; region_size := 0x800000; region_phys := None; region_prefilled := true |};
    {| region_name := "adapters"; region_size := 0x100000; region_phys := None; region_prefilled := false |};
    {| region_name := "formats"; region_size := 0x100000; region_phys := None; region_prefilled := true |};
    {| region_name := "staging"; region_size := 0x800000; region_phys := None; region_prefilled := false |};
    {| region_name := "model_slots"; region_size := 0x1000000; region_phys := None; region_prefilled := false |};
    {| region_name := "dma"; region_size := 0x200000; region_phys := None; region_prefilled := false |};
    {| region_name := "virtio"; region_size := 0x1000; region_phys := Some 0xa000000; region_prefilled := false |};
    {| region_name := "uart"; region_size := 0x1000; region_phys := Some 0x9000000; region_prefilled := false |};
    {| region_name := "watchdog"; region_size := 0x1000; region_phys := Some 0x9010000; region_prefilled := false |}
  ];
  domains := [
    {| pd_name := "audit"; pd_parent := None; pd_priority := 120; pd_budget := 1000; pd_period := 1000; pd_cpu := 0;
       pd_maps := [
         {| map_region := "watchdog"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "shell_to_audit"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "audit_to_shell"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "audit_to_inference"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "inference_to_audit"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "audit_log"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "policy"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "adapters"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "formats"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "model_store"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "audit_to_files"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "files_to_audit"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "staging"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "model_slots"; map_read := true; map_write := true; map_execute := false |}
       ];
       pd_irqs := [
         {| irq_number := 34; irq_id := 2 |};
         {| irq_number := 30; irq_id := 3 |}
       ] |};
    {| pd_name := "inference"; pd_parent := Some ("audit", 0); pd_priority := 100; pd_budget := 10000; pd_period := 10000; pd_cpu := 0;
       pd_maps := [
         {| map_region := "audit_to_inference"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "inference_to_audit"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "adapters"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "formats"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "arena"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "model_store"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "model_slots"; map_read := true; map_write := false; map_execute := false |}
       ];
       pd_irqs := [] |};
    {| pd_name := "shell"; pd_parent := None; pd_priority := 110; pd_budget := 1000; pd_period := 1000; pd_cpu := 0;
       pd_maps := [
         {| map_region := "uart"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "shell_to_audit"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "audit_to_shell"; map_read := true; map_write := false; map_execute := false |}
       ];
       pd_irqs := [
         {| irq_number := 33; irq_id := 1 |}
       ] |};
    {| pd_name := "disk"; pd_parent := None; pd_priority := 108; pd_budget := 1000; pd_period := 1000; pd_cpu := 0;
       pd_maps := [
         {| map_region := "virtio"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "files_to_disk"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "disk_to_files"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "dma"; map_read := true; map_write := true; map_execute := false |}
       ];
       pd_irqs := [
         {| irq_number := 48; irq_id := 1 |}
       ] |};
    {| pd_name := "files"; pd_parent := None; pd_priority := 106; pd_budget := 8000; pd_period := 10000; pd_cpu := 0;
       pd_maps := [
         {| map_region := "audit_to_files"; map_read := true; map_write := false; map_execute := false |};
         {| map_region := "files_to_audit"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "files_to_disk"; map_read := true; map_write := true; map_execute := false |};
         {| map_region := "disk_to_files"; map_read := true; map_write := false; map_execute := false |}
       ];
       pd_irqs := [] |}
  ];
  channels := [
    {| end_a := {| end_pd := "audit"; end_id := 0; end_notify := true; end_pp := false |};
       end_b := {| end_pd := "shell"; end_id := 0; end_notify := true; end_pp := false |} |};
    {| end_a := {| end_pd := "audit"; end_id := 1; end_notify := true; end_pp := false |};
       end_b := {| end_pd := "inference"; end_id := 0; end_notify := true; end_pp := false |} |};
    {| end_a := {| end_pd := "audit"; end_id := 4; end_notify := true; end_pp := false |};
       end_b := {| end_pd := "files"; end_id := 0; end_notify := true; end_pp := false |} |};
    {| end_a := {| end_pd := "files"; end_id := 1; end_notify := true; end_pp := false |};
       end_b := {| end_pd := "disk"; end_id := 0; end_notify := true; end_pp := false |} |}
  ];
  extras := []
|}.
