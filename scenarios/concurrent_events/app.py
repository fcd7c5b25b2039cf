"""Two buttons of one page that change the same State at the same time, with a guarantee and without.

A function gets the State as it was when its call began, and its return value replaces the State at that later time. So two
calls of one session overwrite each other if they overlap in time.
"""

import os
import time

import gradio as gr

WORK_S = float(os.environ.get("WORK_S", "0.01"))


def add(item, items):
    time.sleep(WORK_S)
    items = [*items, item]
    return items, items


with gr.Blocks(title="Shopping") as demo:
    basket = gr.State([])
    wishes = gr.State([])
    fruit = gr.Textbox(label="Fruit")
    vegetable = gr.Textbox(label="Vegetable")
    buy_fruit = gr.Button("Buy fruit")
    buy_vegetable = gr.Button("Buy vegetable")
    wish_fruit = gr.Button("Wish for fruit")
    wish_vegetable = gr.Button("Wish for vegetable")
    shown_basket = gr.JSON(label="Basket")
    shown_wishes = gr.JSON(label="Wishes")

    # One concurrency_id, one limit of 1: of these two events, one waits for the other, and nothing is lost. Without an id,
    # events that call the same function are one group, and those of different functions have limits of their own, so that
    # two of them can overlap though each has a limit of 1.
    for button, item in [(buy_fruit, fruit), (buy_vegetable, vegetable)]:
        button.click(
            add,
            [item, basket],
            [basket, shown_basket],
            concurrency_id="basket",
            concurrency_limit=1,
        )

    # No limit, no guarantee: a wish that is made while another one is under way may replace it, or be replaced by it. The id
    # of its own keeps the lower limit above from holding here too.
    for button, item in [(wish_fruit, fruit), (wish_vegetable, vegetable)]:
        button.click(
            add,
            [item, wishes],
            [wishes, shown_wishes],
            concurrency_id="wishes",
            concurrency_limit=None,
        )

if __name__ == "__main__":
    demo.launch()
