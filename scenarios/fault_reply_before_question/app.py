"""A forum kept in two copies, one for each half of the visitors: a post reaches the other half later, and a reply may overtake its question."""

import heapq
import itertools
import random
import threading
import time
from collections import defaultdict

import gradio as gr

DELAY_S = 0.4

copies = ([], [])
number = itertools.count()
lock = threading.Lock()
on_its_way = []  # (when it arrives, number, copy, text)
last_arrival = defaultdict(float)  # by author: what one person writes arrives in its order


def replicate():
    while True:
        with lock:
            while on_its_way and on_its_way[0][0] <= time.monotonic():
                _, _, copy, text = heapq.heappop(on_its_way)
                copies[copy].append(text)
        time.sleep(0.01)


threading.Thread(target=replicate, daemon=True).start()


def copy_of(request):
    return int(request.session_hash[-1], 36) % 2


def post(text, request: gr.Request):
    author = request.session_hash
    here, there = copy_of(request), 1 - copy_of(request)
    with lock:
        copies[here].append(text)
        arrival = max(last_arrival[author], time.monotonic() + random.uniform(0, DELAY_S))
        last_arrival[author] = arrival
        heapq.heappush(on_its_way, (arrival, next(number), there, text))
    return f"Posted {text}"


def read(request: gr.Request):
    return list(copies[copy_of(request)])


def forget(request: gr.Request):
    last_arrival.pop(request.session_hash, None)


with gr.Blocks(title="Forum") as demo:
    text = gr.Textbox(label="Text")
    post_button = gr.Button("Post")
    posted = gr.Textbox(label="Posted", interactive=False)
    read_button = gr.Button("Read")
    forum = gr.JSON(label="Forum")

    post_button.click(post, text, posted, api_name="post")
    read_button.click(read, None, forum, api_name="read")
    demo.unload(forget)

if __name__ == "__main__":
    demo.launch()
