// ruvllm inspect logits: what a model predicts after each of the tokens given. Raw f32 rows for programs, the
// likeliest tokens for people.
#include "engine/logits.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/largest.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "cli/resolve_options.h"
#include "cli/table.h"
#include "cli/token_list.h"
#include "inspect.h"
#include "kv/kv_cache.h"
#include "model/hparams.h"
#include "model/model.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::inspect {
namespace {

constexpr int kTopForPeople = 5;

struct Options {
  std::string model;
  std::string tokens;
  kv::KvFormat kv_format = kv::KvFormat::q16;
  std::string quantize_on_load;
  uint32_t n_context = 0;  ///< 0: what the model was trained for
  uint32_t chunk = 512;
  std::string out;
  int top = 0;
};

using OnRow = std::function<void(size_t position, std::span<const float> logits)>;

// Room for the tokens: some models turn positions by how much there is. Caches grow as they are filled.
uint32_t context_of(const Options& options, const model::HyperParameters& h, size_t n_tokens) {
  return options.n_context ? options.n_context : std::max(h.n_context, static_cast<uint32_t>(n_tokens));
}

// Feeds the tokens `chunk` at a time; the size of a chunk changes no bit of any row.
void compute_logits(const cli::LoadedModel& loaded, const std::vector<text::TokenId>& tokens,
                    const Options& options, const OnRow& on_row) {
  model::Runner runner(loaded.model, *loaded.pool, tensor::ActivationPrecision::exact);
  const model::HyperParameters& h = loaded.model->hparams();
  const auto cache = kv::make_contiguous_cache(loaded.model->kv_shape(options.kv_format, options.kv_format),
                                               context_of(options, h, tokens.size()));
  const size_t chunk = h.causal ? options.chunk : tokens.size();  // where all see all, all come at once
  for (size_t first = 0; first < tokens.size(); first += chunk) {
    cli::throw_if_interrupted();
    const size_t n_tokens = std::min<size_t>(chunk, tokens.size() - first);
    const model::Segment segment{std::span(tokens).subspan(first, n_tokens), cache.get(),
                                 model::Answers::all};
    const std::span<const float> logits = runner.forward({&segment, 1});
    const size_t n_vocabulary = logits.size() / n_tokens;
    for (size_t row = 0; row < n_tokens; ++row)
      on_row(first + row, logits.subspan(row * n_vocabulary, n_vocabulary));
  }
}

struct Candidate {
  text::TokenId token;
  float logit;
  double probability;
};

std::vector<Candidate> likeliest(std::span<const float> logits, int n_candidates) {
  std::vector<text::TokenId> order(logits.size());
  const auto n_top = std::min<size_t>(static_cast<size_t>(n_candidates), logits.size());
  put_largest_first<float, text::TokenId>(logits, n_top, order);
  const float largest = logits[static_cast<size_t>(order[0])];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < n_top; ++i) {
    const float logit = logits[static_cast<size_t>(order[i])];
    candidates.push_back({order[i], logit, std::exp(static_cast<double>(logit) - largest) / sum});
  }
  return candidates;
}

// A row that only pads the embedding has no text.
std::string text_of(const text::Tokenizer& tokenizer, text::TokenId token) {
  return token < tokenizer.n_tokens() ? tokenizer.token_bytes(token, true) : std::string();
}

void print_top_json(const cli::LoadedModel& loaded, const std::vector<text::TokenId>& tokens,
                    const Options& options) {
  Json positions = Json::array();
  compute_logits(loaded, tokens, options, [&](size_t position, std::span<const float> logits) {
    engine::require_finite_logits(logits, position + 1);
    Json top = Json::array();
    for (const Candidate& candidate : likeliest(logits, options.top))
      top.push_back({{"id", candidate.token},
                     {"text", to_valid_utf8(text_of(*loaded.tokenizer, candidate.token))},
                     {"logit", candidate.logit},
                     {"probability", candidate.probability}});
    positions.push_back({{"position", position}, {"token", tokens[position]}, {"top", std::move(top)}});
  });
  cli::print(dump_json(Json{{"positions", std::move(positions)}}) + "\n");
}

void print_top_table(const cli::LoadedModel& loaded, const std::vector<text::TokenId>& tokens,
                     const Options& options, const cli::CommonOptions& common) {
  using Align = cli::Table::Align;
  cli::Table table({{"after", Align::right},
                    {"text"},
                    {"next", Align::right},
                    {"text"},
                    {"logit", Align::right},
                    {"chance", Align::right}});
  const auto quoted = [&](text::TokenId token) {
    return fmt::format("'{}'", printable(text_of(*loaded.tokenizer, token)));
  };
  compute_logits(loaded, tokens, options, [&](size_t position, std::span<const float> logits) {
    engine::require_finite_logits(logits, position + 1);
    bool first = true;
    for (const Candidate& candidate : likeliest(logits, options.top)) {
      table.add_row({first ? fmt::format("{}", tokens[position]) : "", first ? quoted(tokens[position]) : "",
                     fmt::format("{}", candidate.token), quoted(candidate.token),
                     fmt::format("{:.4f}", candidate.logit),
                     fmt::format("{:.2f}%", candidate.probability * 100)});
      first = false;
    }
  });
  cli::print(table.text(cli::Style(cli::use_color(STDOUT_FILENO, common.color))));
}

// Rows are written as they are, for whoever looks into a broken model, and it is said that they are.
void write_rows(const cli::LoadedModel& loaded, const std::vector<text::TokenId>& tokens,
                const Options& options, const cli::CommonOptions& common) {
  bool is_told = false;
  const auto tell = [&](size_t position, std::span<const float> logits) {
    const auto at = is_told ? std::nullopt : find_non_finite(logits);
    if (!at) return;
    is_told = true;
    cli::warn(common, fmt::format("the logit of token {} at position {} is {}", *at, position,
                                  non_finite_name(logits[*at])));
  };
  if (options.out.empty() || options.out == "-") {
    compute_logits(loaded, tokens, options, [&](size_t position, std::span<const float> logits) {
      tell(position, logits);
      cli::print({reinterpret_cast<const char*>(logits.data()), logits.size_bytes()});
    });
    return;
  }
  AtomicFile file(options.out);
  compute_logits(loaded, tokens, options, [&](size_t position, std::span<const float> logits) {
    tell(position, logits);
    file.write(std::as_bytes(logits));
  });
  file.commit();
}

int run(Options options, const cli::CommonOptions& common) {
  const cli::LoadedModel loaded = cli::load_model(options.model, common, options.quantize_on_load);
  const auto tokens = cli::parse_token_list(options.tokens, loaded.tokenizer->n_tokens(), "--tokens");
  if (tokens.empty()) throw Error(Errc::usage, "which tokens? --tokens ID,ID,...");
  if (options.n_context != 0 && tokens.size() > options.n_context)
    throw Error(Errc::usage, "{} tokens don't fit into --ctx {}", tokens.size(), options.n_context);
  const bool for_people = options.out.empty() && (common.json || cli::is_terminal(STDOUT_FILENO));
  if (options.top == 0 && for_people) options.top = kTopForPeople;
  if (!options.out.empty() || options.top == 0) write_rows(loaded, tokens, options, common);
  if (options.top > 0) {
    if (common.json)
      print_top_json(loaded, tokens, options);
    else
      print_top_table(loaded, tokens, options, common);
  }
  return 0;
}

}  // namespace

Inspection add_logits(CLI::App& inspect) {
  auto options = std::make_shared<Options>();
  CLI::App* command = inspect.add_subcommand("logits", "What a model predicts after each token.");
  cli::add_model_argument(*command, options->model);
  command->add_option("--tokens", options->tokens, "The tokens to feed.")->type_name("ID,ID,...");
  command->add_option("--top", options->top, "Show the N likeliest next tokens.")
      ->type_name("N")
      ->check(cli::between(1, 1e6));
  command->add_option("--out", options->out, "Write raw little-endian f32, one row a token, to this file.")
      ->type_name("FILE");
  command->add_option("--chunk", options->chunk, "Feed this many tokens at a time; changes no bit.")
      ->type_name("N")
      ->capture_default_str()
      ->check(cli::between(1, 1 << 20));
  command
      ->add_option(
          "-c,--ctx", options->n_context,
          "Room for this many tokens (what the model was made for): some models turn positions by it.")
      ->type_name("N")
      ->check(cli::between(1, static_cast<double>(limits::kContextTokens)));
  cli::add_kv_type_option(*command, options->kv_format);
  cli::add_quantize_on_load_option(*command, options->quantize_on_load);
  return {command, [options](const cli::CommonOptions& common) { return run(*options, common); }};
}

}  // namespace ruvllm::inspect
