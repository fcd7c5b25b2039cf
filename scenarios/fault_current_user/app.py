"""A members' page that keeps who is signed in, in one object of the whole server: the last sign-in counts for all sessions."""

import gradio as gr


class CurrentUser:
    name = ""


current_user = CurrentUser()


def sign_in(name):
    current_user.name = name
    return current_user.name


def show_account():
    return current_user.name


with gr.Blocks(title="Members") as demo:
    name = gr.Textbox(label="Your name")
    sign_in_button = gr.Button("Sign in")
    account_button = gr.Button("My account")
    signed_in = gr.Textbox(label="Signed in as", interactive=False)

    sign_in_button.click(sign_in, name, signed_in, api_name="sign_in")
    account_button.click(show_account, None, signed_in, api_name="account")

if __name__ == "__main__":
    demo.launch()
