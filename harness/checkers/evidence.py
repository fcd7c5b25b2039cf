"""What checkers count as evidence. Each name is a key of `evidence` in `checks.json`; the catalogue says to which checks it belongs."""

from __future__ import annotations

# Pairs of a write and a later read of the same owner, in which the write could have been missing.
WRITE_READ_PAIRS = "write_read_pairs"
# Pairs of a read and a later one, of which the later could have gone back.
PAIRS_OF_READS = "pairs_of_reads"
# Reads of state that an earlier operation had shown to persist.
READS_OF_WHAT_HAD_BEEN_SEEN_BEFORE = "reads_of_what_had_been_seen_before"
# Reads that could have shown what a clear had removed.
READS_AFTER_A_CLEAR = "reads_after_a_clear"
# Values of the reader's own that could have been there twice.
OWN_VALUES_SHOWN = "own_values_shown"
# Pairs of writes that one read showed together.
PAIRS_OF_WRITES_IN_ORDER = "pairs_of_writes_in_order"
# Writes shown by sessions that had read others' before.
WRITES_SHOWN_THAT_FOLLOWED_A_READ = "writes_shown_that_followed_a_read"
# Values read, each of which an operation must have written.
VALUES_READ = "values_read"
# Reads by sessions whose user had an earlier session.
READS_AFTER_AN_EARLIER_SESSION = "reads_after_an_earlier_session"
# Sessions that began with a reload and read state of their own.
RELOADED_SESSIONS = "reloaded_sessions"
# Answers and partial answers.
ANSWERS_SHOWN = "answers_shown"
# Of these, those shown while another operation had asked something.
SHOWN_WHILE_OTHERS_HAD_ASKED = "shown_while_others_had_asked"
# Steps of chains.
STEPS_SHOWN = "steps_shown"
# Of these, those shown while another chain had begun.
SHOWN_WHILE_OTHERS_HAD_BEGUN = "shown_while_others_had_begun"
# Reads for which an order of the operations was found.
READS_PUT_IN_ORDER = "reads_put_in_order"
# Reads for which no order was searched; only their bounds were checked.
READS_LEFT_TO_BOUNDS = "reads_left_to_bounds"
# Values read after a write by another owner was acknowledged; only these can show a leak.
READ_AFTER_A_FOREIGN_WRITE = "read_after_a_foreign_write"
