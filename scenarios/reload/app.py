"""A quiz: its score and the answers given are in gr.State, so loading the page again starts it from the beginning."""

import gradio as gr


def show(score, answers):
    return score, answers


def answer(text, score, answers):
    score += 1
    answers = [*answers, text]
    return score, answers, score, answers


with gr.Blocks(title="Quiz") as demo:
    score = gr.State(0)
    answers = gr.State([])
    text = gr.Textbox(label="Answer")
    shown_score = gr.Number(label="Score", interactive=False)
    shown_answers = gr.JSON(label="Answers")

    # Each page load is a new session with State of its own: this shows what that starts with.
    demo.load(show, [score, answers], [shown_score, shown_answers])
    text.submit(
        answer, [text, score, answers], [score, answers, shown_score, shown_answers], api_name="answer"
    )

if __name__ == "__main__":
    demo.launch()
