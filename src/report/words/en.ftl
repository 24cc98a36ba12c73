# What the reports say, in English; what reasons say stands in src/domain/*_reason.rs. Numbers arrive written already; `n` is the number a plural is chosen by.

### Units
unit-days = { $n } d { $rest } h
unit-hours = { $n } h { $rest } min
unit-minutes = { $n } min { $rest } s
unit-seconds = { $n } s
unknown = -
yes = yes
no = no
nothing = none

### Profile
profile-title = { $source } → { $candidate }
profile-answer = For this text the candidate needs { $ratio ->
    [fewer] { $percent } fewer tokens
    [more] { $percent } more tokens
   *[same] as many tokens
} than the original. The model already has { $vocabulary } of its tokens, and { $corpus } of what it would read.
profile-answer-bare = The model already has { $vocabulary } of the candidate's tokens. Give a text with --corpus to see what that means for it.
profile-tokenizers = The two tokenizers
original = original
candidate = candidate
grown = grown original
both-vocabularies = both
name = name
kind = kind
model = model
alphabet = alphabet
tokens = tokens
special-tokens = of these special
rows = rows needed
byte-fallback = byte fallback
fertility = tokens per word
bytes-per-token = bytes per token
corpus-tokens = tokens for the text
unknown-rate = unknown tokens
unknown-bytes = text lost to them
round-trip = lines that come back
corpus-line = Measured on { $bytes } of text: { $n ->
    [one] { $lines } line
   *[other] { $lines } lines
}, { $words } words, from { $files }.
coverage = Coverage: how much of the candidate the model already has
coverage-measure = counted by
coverage-share = share
coverage-meaning = what it says
coverage-vocabulary = vocabulary, by bytes
coverage-vocabulary-means = candidate tokens whose bytes are a token of the original
coverage-naive = vocabulary, by spelling
coverage-naive-means = the usual mistake: the two alphabets spell the same bytes differently
coverage-corpus = text, by bytes
coverage-corpus-means = occurrences on this text that are covered
coverage-gap = Spelling misses { $percent } of the vocabulary that the model really has.
matches = How the candidate's tokens match
match-class = class
match-types = tokens
match-type-share = of the vocabulary
match-occurrences = occurrences
match-occurrence-share = of the text
match-special = special, matched by role
match-byte = single byte (fallback)
match-exact = the same bytes
match-space = the same but for the leading space
match-case = the same but for case
match-normal = the same after normalisation
match-digits = a number, original writes digits
match-none = new to the model
similarity = Similarity: how well the model's space can express the candidate
similarity-line = { $score } ({ $basis }).
basis = basis
score = score
chance = by chance
how = how it was measured
basis-surface = surface
basis-contextual = contextual
basis-reconstruction = reconstruction
basis-means-surface = by surface: how the original spells the candidate's tokens
basis-means-contextual = by context: how tokens stand together in the text
basis-means-reconstruction = by reconstruction: rows of the model, hidden and rebuilt
model-heading = The model
model-line = { $family } with { $parameters } parameters; { $rows } embedding rows of { $hidden }, { $tied ->
    [yes] input and output shared
   *[no] input and output apart
}.
model-padding = { $n ->
    [one] { $rows } row is padding
   *[other] { $rows } rows are padding
}: no token, left out of every average.
model-embeddings = Embeddings and head: { $before } parameters now, { $after } with the candidate's rows.
gain = What is gained
gain-cost = A million words take { $before } tokens now and { $after } with the candidate: { $percent } { $change ->
    [saved] less
   *[lost] more
} to read and write.
gain-tokens = { $n } tokens { $change ->
    [saved] saved
   *[lost] more
} per million words.
gain-context = The same context window holds { $times } times as much of this text.
gain-context-less = The same context window holds only { $times } times as much of this text.
gain-stays = The tokenizer stays as it was: texts are as long as before.
gain-grown = The original tokenizer was grown: the held-out text takes { $after } tokens instead of { $before }, and no text takes more than before.
gain-none = Without a text nothing can be said about what is gained; give one with --corpus.
warnings = Before you go on
details = More of both
strr = words kept as one token
renyi = evenness of use (Rényi, 2.5)
unreachable = tokens that no text can produce
unused = tokens that the text never uses
digits = how numbers are split
digits-single = digit by digit
digits-triples = by threes
digits-free = as they come
parity = tokens for the text over tokens for its translation
train-flops = operations to train on a million words
inference-flops = operations to read or write a million words
traps = What can go wrong
trap-severity = How bad
trap-whose = Whose
trap-what = What
trap-advice = What to do
trap-both = both
trap-example = For example: { $example }.
severity-serious = serious
severity-warning = warning
severity-note = note

### Decision
decision-title = Recommendation
decision-answer = Take { $strategy }: { $gist }.
line-why = Why: { $said }
line-sure = How sure: { $confidence }, { $grounds }. { $action ->
    [execute] Sure enough to execute as it is.
    [execute_watched] Execute it, and review twice as often.
   *[safest] Too little to go by, so the safest feasible choice is taken.
}
line-cost = Cost: { $said }
line-gain = Gain: { $said }
line-mind = Mind: { $said }
sure-of-rules = by the rules alone
sure-of-both = by the rules and { $n ->
    [one] { $count } branch
   *[other] { $count } branches
} of past runs
gist-keep = stay with the original tokenizer and train adapters only
gist-direct = move to the candidate at once, embeddings mapped and trained
gist-sequential = adapt on the original first, then move to the candidate
gist-parallel = race a safe and a risky branch and keep the winner
gist-structural = run both tokenizers side by side, with bridges
gist-extend = keep the original and grow its vocabulary
gist-adaptive = start from the decision and decide again while training
gist-emergency = the fallback on the original tokenizer that always works
weighed = All strategies, weighed
strategy = strategy
utility = utility
by-rules = by rules
learned = learned
interval = interval
expected-level = expected
cost-time = time
cost-memory = memory
verdict = verdict
verdict-chosen = chosen
verdict-possible = possible
verdict-vetoed = vetoed
utility-note = Utility is in bits per byte expected to be saved against keep; more is better. An interval stands there once the history holds enough runs for one.
saves = bits/byte saved
expected-loss = loss
why-not = why not
why-not-others = Why not the others
ranking-note = Bits per byte expected to be saved against keep, with its interval once the history holds enough runs for one. Loss: the equivalent loss that past runs measured, or that was expected in the beginning.
rests-on = What this rests on
fired-line = { $rule }: { $says } ({ $because })
vetoed-because = vetoed: { $because }
alike-line = Alike: run { $run } (distance { $distance }) took { $strategy } and saved { $saved } bits per byte against keep
more-with-full = The evidence, all strategies by numbers, risks, situations and success criteria: --full, or --format html.
path-is = { $strategy } asked about
path-not = not { $strategy }
gain-extends = Texts get no longer and mostly shorter; how much shows once the vocabulary is grown (`hibrit tokenizer extend`).
why-not-line = { $strategy }: { $reason }
vetoed-by = { $strategy }: vetoed by { $row } ({ $because })
fired = Rules that decided
rule = rule
says = says
says-above = the utilities above
because = because
input = input
nearly = Rules that nearly did
nearly-line = { $rule } nearly: it would have said { $output }, but { $input } is { $value } and it asks for { $cell }
flips = What would change the decision
flips-line = { $input } { $to } instead of { $from }: then { $strategy }
flips-none = No change of a single input would.
scorer = What past runs contributed
scorer-evidence = Scorer { $id }, grown from { $n ->
    [one] { $count } branch
   *[other] { $count } branches
} of past runs.
scorer-changed = Without it the decision would have been another.
scorer-unchanged = Without it the decision would have been the same.
scorer-path = Its way to { $strategy }: { $steps }
path-below = { $feature } { $value } < { $threshold }
path-above = { $feature } { $value } ≥ { $threshold }
alike = The most alike past runs
run = run
distance = distance
bits-per-byte = bits per byte
saved = saved against keep
cost = What it costs
cost-line = about { $time }, { $memory } of memory, { $disk } of disk, { $tokens } training tokens.
cost-unknown = not estimated; give --model and --corpus (and --train-bytes) for time and memory.
resources = What there is to work with
resources-line = { $n ->
    [one] { $count } device
   *[other] { $count } devices
}, { $memory }; { $budget }; priority: { $priority }.
memory-unknown = memory not known
budget-none = no time limit
budget-some = at most { $time }
priority-balanced = balanced
priority-fastest = the fastest reliable road
priority-quality = the highest quality
priority-tight = tight resources
priority-research = research
rules-line = Rules { $sha }.
evidence = The evidence

### Inputs of the tables, by their names there
input-coverage_vocabulary = coverage of the vocabulary
input-coverage_corpus = coverage of the text
input-similarity = similarity
input-similarity_band = the band of similarity
input-token_ratio = tokens relative to the original
input-fertility_source = tokens per word of the original
input-unknown_bytes = share of the text lost to unknown tokens
input-round_trip = share of lines that come back
input-log10_parameters = size of the model (log10 of parameters)
input-log10_train_bytes = size of the training text (log10 of bytes)
input-devices = devices
input-budget_hours = hours allowed
input-memory_gib = memory of a device in GiB
input-priority = priority
input-time_share = time needed over time allowed
input-memory_share = memory needed over memory there is

### What the seed expected, and what was measured
background = What was expected, and what past runs measured
background-success = success: expected
background-loss = loss: expected
background-time = time: expected
background-measured = measured
background-complexity = complexity
background-resources = needs
background-hours = { $hours } h
background-of = { $share } of { $n ->
    [one] { $count } try
   *[other] { $count } tries
}
background-note = Expected: the report that hibrit began with. Measured: { $n ->
    [one] { $count } past run
   *[other] { $count } past runs
} in the history; a success is a usable model with fewer bits per byte than its base had on the same text. Losses are equivalent losses; times depend on model and machine.
situations = Situations
situation-fastest = The fastest reliable road: parallel.
situation-quality = The highest quality: adaptive.
situation-tight = Tight resources, one GPU: sequential, where coverage is above { $coverage }.
situation-research = Research: structural.
situation-yours = { $situation } This is what was asked for.
risks = Risk factors
risk = risk
risk-when = when
risk-here = here
risk-coverage = little shared vocabulary
risk-coverage-when = coverage < { $limit }
risk-explosion = exploding gradients
risk-explosion-when = norm > { $limit }
risk-memory = out of memory
risk-memory-when = the model and its batches do not fit
risk-instability = unstable training
risk-instability-when = spikes, divergence
risk-seen = seen { $n ->
    [one] { $count } time
   *[other] { $count } times
} in past runs
criteria = What counts as success
criteria-excellent = excellent: equivalent loss < { $limit }
criteria-good = good: equivalent loss < { $limit }
criteria-minimum = minimum: equivalent loss < { $limit }
criteria-note = On the equivalent loss, which may be compared between tokenizers; the levels are data, in rules/levels.toml.
chart-utility = Expected utility of each strategy, with its interval where there is one
chart-utility-axis = bits per byte saved against keep
chart-losses = Equivalent loss: the range that was expected of each strategy, and a point where past runs measured one
chart-position = Where this case stands in the matrix that decided
chart-here = this case
band-low = low
band-medium = medium
band-high = high
chart-matches = How the candidate's tokens match, by share of the vocabulary
chart-matches-text = How the candidate's tokens match, by share of the text
chart-fertility = Tokens per word

### Run
run-title = Run { $id }
run-answer = { $strategy } { $change ->
    [better] brought the text from { $before } to { $after } bits per byte
    [worse] left the text at { $after } bits per byte, worse than the { $before } it began with
   *[same] left the text at { $after } bits per byte, where it began
} (equivalent loss { $loss-before } → { $loss-after }).
run-answer-after = { $strategy } ended at { $after } bits per byte (equivalent loss { $loss-after }).
run-answer-failed = { $strategy } gave no usable model.
run-answer-open = The run has not ended yet.
run-answer-interrupted = The run was interrupted; what was learnt so far is in the folder of its branches.
run-level = Level: { $level }.
run-against-keep = That is { $amount } bits per byte { $change ->
    [better] better
   *[worse] worse
} than keep on the same text with the same budget.
run-is-keep = Nothing was lost against keep: this is keep.
run-against-nothing = keep was not run beside it, so there is no yardstick.
run-decided = Decided: { $strategy }, confidence { $confidence }. { $because }
run-tried = The decision was { $strategy }; { $other } is what was tried.
run-forced = { $strategy } was insisted on, whatever would have been decided.
run-otherwise = The decision was { $strategy }; { $other } is what came out.
branches = Branches
branch = branch
tokenizer = tokenizer
status = ended
before = before
after = after
loss = equivalent loss
raw-loss = raw loss (*)
time = time
trained = trained
raw-loss-note = (*) Loss per token of the tokenizer in use: not comparable between tokenizers. Bits per byte and equivalent loss are.
evaluated-on = Measured on { $n ->
    [one] { $count } held-out document
   *[other] { $count } held-out documents
}, { $bytes }.
unknown-charged = { $percent } of the text's bytes were lost to unknown tokens and charged at 8 bits each ({ $branch }).
failure-line = { $branch } failed: { $reason }
curve = Learning curve, bits per byte on the held-out text
curve-train = Learning curve, bits per byte while training
curve-axis = training text seen (bytes)
incidents = Incidents
incident-count = incidents
incident-line = step { $step }, { $branch }: { $kind }: { $detail }; { $directive }
incidents-none = Nothing went wrong.
incident-non_finite = non finite
incident-explosion = explosion
incident-spike = spike
incident-divergence = divergence
incident-hopeless = hopeless
incident-out_of_memory = out of memory
directive-continue = went on
directive-skip = the batch was skipped
directive-adjust = learning rate multiplied by { $factor }
directive-rewind = went back { $n ->
    [one] { $steps } step
   *[other] { $steps } steps
}
directive-stop = stopped
directive-switch = switched to { $strategy }
directive-fallback = fell back to the original tokenizer
files = Where the files are
files-run = the run
files-model = the model that came out
next = What to run next
status-done = done
status-stopped = stopped early
status-failed = failed
status-interrupted = interrupted
status-running = running
level-excellent = excellent
level-good = good
level-minimum = minimum
level-failed = below the minimum
feedback = What people said
feedback-line = { $at }: { $said }
feedback-verdict = verdict { $verdict }
request = What was asked for
request-line = Model { $model }, candidate { $candidate }, { $bytes } of training text, seed { $seed }, on { $device }.
request-total = It took { $total } in all.

### History
decisions-title = Decisions
decisions-empty = No decision is logged yet. `hibrit decide`, `hibrit auto` and `hibrit run` log theirs.
decisions-count = { $n ->
    [one] { $count } decision
   *[other] { $count } decisions
}. `hibrit history decisions ID` shows one whole.
decision-id = decision
pair = tokenizers
confidence = confidence
rules-short = rules
scorer-short = scorer
became = what became of it
became-advice = advice only
became-of = { $strategy }, { $status }, { $saved } bits/byte against keep
became-open = run { $id } has not ended
became-lost = its run { $id } is not in this history
logged = Logged
logged-line = { $id }, { $at }, hibrit { $version }; taken: { $taken }, with probability { $propensity }.
history-title = History
history-empty = No runs yet. `hibrit demo` makes one in a few minutes.
history-count = { $n ->
    [one] { $count } run
   *[other] { $count } runs
}.
started = started
level = level
compare-title = Runs side by side
decided = decided
came-out = came out
training-text = training text
base = before training
