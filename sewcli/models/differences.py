"""Where the papers contradict themselves, their code, or what can be counted, and which of the two the project follows.

Rows are (point, what the paper says, what stands against it, what the project follows). Figures of results that contradict
each other are rows of `published.csv` that say `followed: no`.
"""

from __future__ import annotations

CODE = (
    ("first kernel of the extractor", "7 (SEW section 4.4)", "10 (SEW table 2, code)", "10: only it gives 400 samples"),
    ("BatchNorm in predictor heads", "after each linear layer (SEW section 4.6)", "after hidden layers only", "code"),
    (
        "layer drop in pre-training",
        "0.1 for SEW, 0.2 for SEW-D (SEW appendix B.1)",
        "0.2 for all models of 24 layers, 0.05 for 12",
        "code",
    ),
    ("learning rate of 10m, 1h and 10h", "3e-5 (SEW appendix B.1)", "5e-5", "code"),
    (
        "batch of the 100 h fine-tuning",
        "4 x 200 s (SEW appendix B)",
        "8 x 200 s, of which its batches in multiples of 8 fill 1043 s",
        "8 x 200 s",
    ),
    (
        "batch of the tiny models' pre-training",
        "5600 s, as for the others (SEW section 4.1)",
        "32 x 175 s, of which its batches in multiples of 8 fill 3794 s",
        "32 x 175 s",
    ),
    (
        "width of SEW-D-base and SEW-D-base+",
        "512 (SEW table 5)",
        "768, and 512 would have 78.8 M parameters, not 175.1 M",
        "768",
    ),
    (
        "SEW-D's projections of positions",
        "their own, W^q,p and W^k,p (SEW appendix G)",
        "those of the content, biases included",
        "code",
    ),
    ("upsampling", "transposed convolution (SEW section 4.3)", "linear layer with bias, then GELU", "code"),
    ("penalty on features", "none (SEW equation 1)", "10 times their mean square", "code"),
    (
        "masks in fine-tuning",
        "0.075 / 0.075 / 0.065 / 0.05 / 0.05 starts a frame for 10m / 1h / 10h / 100h / 960h (wav2vec 2.0 table 6)",
        "0.065 for 10m to 100h, 0.05 for 960h",
        "code",
    ),
    (
        "updates of fine-tuning",
        "12k / 13k / 20k / 50k / 320k (wav2vec 2.0 table 6)",
        "13k / 13k / 20k / 80k / 320k",
        "code",
    ),
    (
        "learning rate of 960h",
        "1e-4 (wav2vec 2.0)",
        "1e-5 at the commit that SEW pins, 1e-4 since May 2021",
        "1e-4; SEW never uses this recipe",
    ),
    (
        "LARGE on 60,000 hours",
        "lr 3e-4, 600,000 updates, 8 % of them warm-up (wav2vec 2.0 section 4.2)",
        "lr 5e-3, 1,000,000 updates, 32,000 of warm-up, no dropout",
        "`w2v2-large-lv60k`: the paper's schedule, the code's dropouts; `w2v2-large-lv60k-code`: all of the code's",
    ),
    (
        "validation in pre-training",
        "1 % of the training data (SEW section 4.1)",
        "the same",
        "dev* where it is prepared, so that all 960 h are trained on; 1 % by `--set data.valid=hold-out`",
    ),
    (
        "beam search",
        "beam 50, weights 2 and -1 (SEW section 4.1)",
        "and threshold 25, 100 symbols a frame, silence = blank",
        "beam and weights, the surroundings adaptive; `--search wav2letter` is exactly theirs",
    ),
    ("kernel of the position convolution in SEW tables 1, 3 and 4", "128", "127 fits all counts, 128 none", "127"),
    (
        "distillation",
        "32 epochs (Shrinking Bigfoot table 1), 10 of train-clean-100 (table 2)",
        "60 epochs in the authors' demo",
        "`bigfoot` and `bigfoot-100h-10`: the paper; `bigfoot-demo`: the code",
    ),
    (
        "loss of masked spans",
        "for the mask's central time step alone (a summary of wav2vec 2.0)",
        "for every masked step (wav2vec 2.0 section 3.2, code)",
        "every masked step",
    ),
)

PAPERS = (
    ("W2V2-tiny, 100K, test-other", "41.1 (SEW section 6)", "42.1 (SEW table 6)", "table 6"),
    (
        "W2V2, E=384, 50 Hz",
        "10.5 s, 28.3/16.8 (SEW table 1)",
        "12.8 s, 26.6/15.6 (SEW table 4)",
        "each table as printed; table 4's are those of W2V2-small in table 6",
    ),
    (
        "the same row's extractor",
        '"same WFE" (SEW table 1)',
        "its 24.84 M have WFE-O-c384; WFE-O-c256 would give 23.63 M",
        "WFE-O-c384",
    ),
    (
        "SEW-small, SEW-mid, SEW-D-tiny, SEW-D-small in SEW table 5",
        "93.2, 178.2, 25.0, 42.6 M and 12.9, 21.0, 8.5, 10.9 s, kernel 31",
        "sizes and seconds of the k127 models; table 6 has those of kernel 31",
        "table 6 for kernel 31, table 5 for k127",
    ),
    (
        "SEW-D-base+, 400K, greedy test-clean / test-other",
        "4.4 / 9.2 (SEW table 8)",
        "4.34 / 9.45 (the authors' model card)",
        "the paper; the card stands beside it",
    ),
    (
        "sizes of distilled models",
        "166 / 141 / 115 / 91 / 65 M for 12 / 10 / 8 / 6 / 4 layers (Shrinking Bigfoot tables 1 and 2)",
        "164.3 / 139.1 / 113.9 / 88.7 / 63.5 M without quantizer and heads (1.92 M)",
        "without: a recogniser has neither",
    ),
    (
        "CO2 saved by distillation on 54 million hours",
        "21 t (Shrinking Bigfoot section 6)",
        "0.0019 kg for 5.4 h (its table 1) give 19 t",
        "19 t",
    ),
    (
        "LARGE with 10 minutes of labels, no language model, dev-clean",
        '"33.8 for LARGE on LS-960" (wav2vec 2.0, appendix, text)',
        "38.3, of LV-60k (table 9)",
        "table 9",
    ),
    ("the improvement that the same text names", '"5.0" (wav2vec 2.0, appendix)', "4.6 (tables)", "the tables"),
)
