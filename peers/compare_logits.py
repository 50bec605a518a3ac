"""Compares `alarum inspect logits` with `transformers` on the same checkpoint, frames and question.

    python peers/compare_logits.py ALARUM MODEL_FOLDER FRAME_FOLDER QUESTION

FRAME_FOLDER holds the frames as images in the order of their names, one a second. Needs the packages of
fixtures/requirements.txt. Prints whether prompt ids and 20 greedy tokens are the same, and the largest
difference of the next token's logits beside their scale.

A folder with alarm.safetensors is a model with alarm tokens: `transformers` knows nothing of them, so
their ids are put into the prompt here and their embeddings replaced.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, VideoLlama3ForConditionalGeneration
from transformers.video_utils import VideoMetadata

alarum, model_folder, frame_folder, question = sys.argv[1:]
shown = ["--model", model_folder, "--video", frame_folder, "--fps", "1", "--query", question]
said = subprocess.run([alarum, "inspect", "logits", *shown, "--json", "--generate", "20"], check=True, capture_output=True)
ours = json.loads(said.stdout)

processor = AutoProcessor.from_pretrained(model_folder)
model = VideoLlama3ForConditionalGeneration.from_pretrained(model_folder, dtype=torch.float32).eval()
frames = [np.array(Image.open(path).convert("RGB")) for path in sorted(Path(frame_folder).iterdir())]
content = [{"type": "video"}, {"type": "text", "text": question}]
prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
metadata = VideoMetadata(total_num_frames=len(frames), fps=1.0, frames_indices=list(range(len(frames))))
inputs = processor(
    text=[prompt], videos=[np.stack(frames)], video_metadata=[metadata], return_tensors="pt", do_sample_frames=False
)


def insert_alarm(inputs, vocabulary):
    """The visual alarm after the last vision token of the first user turn, the textual one at its end."""
    ids = inputs["input_ids"][0].tolist()
    user = processor.tokenizer.encode("<|im_start|>user")
    start = next(i for i in range(len(ids)) if ids[i : i + len(user)] == user)
    end = ids.index(vocabulary["<|im_end|>"], start)
    pads = [place for place in range(start, end) if ids[place] in (model.config.image_token_id, model.config.video_token_id)]
    visual, textual = (pads[-1] + 1 if pads else end), end + 1
    ids.insert(visual, vocabulary["<|visual_alarm|>"])
    ids.insert(textual, vocabulary["<|textual_alarm|>"])
    inputs["input_ids"] = torch.tensor([ids])
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return {"visual": visual, "textual": textual}


places = None
if (Path(model_folder) / "alarm.safetensors").exists():
    alarm = load_file(Path(model_folder) / "alarm.safetensors")
    places = insert_alarm(inputs, processor.tokenizer.get_vocab())

    def replace(_layer, _arguments, embedded):
        if embedded.shape[1] == inputs["input_ids"].shape[1]:  # the prompt, not a next token
            for kind, place in places.items():
                embedded[0, place] = alarm[f"{kind}_alarm_embedding"][0]
        return embedded

    model.get_input_embeddings().register_forward_hook(replace)

with torch.no_grad():
    logits = model(**inputs).logits[0, -1].numpy()
    tokens = model.generate(**inputs, max_new_tokens=20, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()

print("prompt ids the same:", inputs["input_ids"][0].tolist() == ours["input_ids"])
print("alarm positions the same:", places == ours["alarm"])
print(f"logits differ by {np.abs(logits - np.array(ours['logits'])).max():.2g} on a scale of {np.abs(logits).max():.3g}")
print("greedy tokens the same:", tokens == ours["generated"]["ids"])
