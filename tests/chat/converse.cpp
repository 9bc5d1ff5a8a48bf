// What llama.cpp makes of prompts that are read from standard input, each ended by a zero byte: for each a line of JSON with
// the ids of the prompt, special tokens parsed, those of the likeliest answer, and how far the best logit is above the second at
// each of these. One token in a batch, one thread, keys and values in F32, no flash attention. See make_chat.py.

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "llama.h"

namespace {

constexpr int CONTEXT = 512;
constexpr int STEPS = 64;

void fail(const char *what) {
    std::fprintf(stderr, "converse: %s\n", what);
    std::exit(1);
}

const float *feed(llama_context *context, llama_token token) {
    if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) {
        fail("a token cannot be decoded");
    }
    return llama_get_logits_ith(context, -1);
}

template <typename Item>
void print(const char *name, const std::vector<Item> &items) {
    std::cout << "\"" << name << "\": [";
    for (size_t at = 0; at < items.size(); ++at) {
        std::cout << (at > 0 ? ", " : "") << items[at];
    }
    std::cout << "]";
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 2) {
        fail("give the model");
    }
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    llama_model_params of_model = llama_model_default_params();
    of_model.n_gpu_layers = 0;
    llama_model *model = llama_model_load_from_file(arguments[1], of_model);
    if (model == nullptr) {
        fail("the model cannot be loaded");
    }
    const llama_vocab *vocabulary = llama_model_get_vocab(model);
    const int size = llama_vocab_n_tokens(vocabulary);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = CONTEXT;
    params.n_batch = params.n_ubatch = 1;
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    llama_context *context = llama_init_from_model(model, params);

    const std::string all((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
    for (size_t begin = 0; begin < all.size();) {
        const size_t end = all.find('\0', begin);
        const std::string text = all.substr(begin, end - begin);
        begin = end == std::string::npos ? all.size() : end + 1;
        std::vector<llama_token> prompt(CONTEXT);
        const int tokens = llama_tokenize(
            vocabulary, text.data(), (int) text.size(), prompt.data(), CONTEXT, true, true);
        if (tokens <= 0 || tokens + STEPS > CONTEXT) {
            fail("the prompt has too many tokens, or none");
        }
        prompt.resize(tokens);
        llama_memory_clear(llama_get_memory(context), true);
        const float *logits = nullptr;
        for (const llama_token token : prompt) {
            logits = feed(context, token);
        }
        std::vector<llama_token> answer;
        std::vector<float> gaps;
        for (int step = 0; step < STEPS; ++step) {
            int best = 0, second = -1;
            for (int id = 1; id < size; ++id) {
                if (logits[id] > logits[best]) {
                    second = best;
                    best = id;
                } else if (second < 0 || logits[id] > logits[second]) {
                    second = id;
                }
            }
            answer.push_back(best);
            gaps.push_back(logits[best] - logits[second]);
            if (llama_vocab_is_eog(vocabulary, best)) {
                break;
            }
            logits = feed(context, best);
        }
        std::cout << "{";
        print("prompt", prompt);
        std::cout << ", ";
        print("tokens", answer);
        std::cout << ", ";
        print("gaps", gaps);
        std::cout << "}" << std::endl;
    }
    return 0;
}
