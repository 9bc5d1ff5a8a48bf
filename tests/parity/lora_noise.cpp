// Logits of llama.cpp for lora_noise.py: MODEL LORA|- THREADS BATCH OUT TOKEN... writes those after every token, f32.

#include "llama.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int count, char **arguments) {
    if (count < 7) {
        fprintf(stderr, "usage: MODEL LORA|- THREADS BATCH OUT TOKEN...\n");
        return 1;
    }
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    const int threads = atoi(arguments[3]), batch = atoi(arguments[4]), tokens = count - 6;

    auto of_model = llama_model_default_params();
    of_model.n_gpu_layers = 0;
    llama_model *model = llama_model_load_from_file(arguments[1], of_model);
    if (!model) return 2;

    // The settings of make_parity.py but for threads and batch.
    auto of_context = llama_context_default_params();
    of_context.n_ctx = 128;
    of_context.n_batch = of_context.n_ubatch = batch;
    of_context.n_threads = of_context.n_threads_batch = threads;
    of_context.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    of_context.type_k = of_context.type_v = GGML_TYPE_F32;
    llama_context *context = llama_init_from_model(model, of_context);
    if (!context) return 3;

    if (strcmp(arguments[2], "-") != 0) {
        llama_adapter_lora *lora = llama_adapter_lora_init(model, arguments[2]);
        float scale = 1.0f;
        if (!lora || llama_set_adapters_lora(context, &lora, 1, &scale)) return 4;
    }

    FILE *out = fopen(arguments[5], "wb");
    if (!out) return 5;
    const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int first = 0; first < tokens; first += batch) {
        const int here = tokens - first < batch ? tokens - first : batch;
        llama_batch part = llama_batch_init(here, 0, 1);
        part.n_tokens = here;
        for (int i = 0; i < here; i++) {
            part.token[i] = atoi(arguments[6 + first + i]);
            part.pos[i] = first + i;
            part.n_seq_id[i] = 1;
            part.seq_id[i][0] = 0;
            part.logits[i] = 1;
        }
        if (llama_decode(context, part)) return 6;
        for (int i = 0; i < here; i++) {
            fwrite(llama_get_logits_ith(context, i), sizeof(float), vocabulary, out);
        }
        llama_batch_free(part);
    }
    return fclose(out) ? 7 : 0;
}
