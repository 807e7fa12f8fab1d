"""The demo policy's tokenizer and architecture: bytes in ChatML turns, and a Qwen2 of 0.6 million parameters."""

from tokenizers import pre_tokenizers
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

PAD, TURN_START, TURN_END = "<|pad|>", "<|im_start|>", "<|im_end|>"
MAX_TOKENS = 256  # positions
HIDDEN = 128
VOCABULARY = 320  # 3 special tokens and 256 bytes, padded to a multiple of 64

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE tokenizer without merges: one token per byte, besides the special tokens.

    Of the class that ``AutoTokenizer`` picks for a Qwen2 folder: what is stored is what others load. Its unknown
    token, which bytes never need, is set only because the class would add another special token by default.
    """
    tokens = [PAD, TURN_START, TURN_END, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Qwen2Tokenizer(
        vocab={token: at for at, token in enumerate(tokens)},
        merges=[],
        unk_token=PAD,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START],
        model_max_length=MAX_TOKENS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    """A freshly initialised policy; the caller seeds torch."""
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model
